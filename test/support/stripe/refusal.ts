/** An error as Stripe answers it. */
export class Refusal extends Error {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>

  constructor(status: number, type: string, body: Readonly<Record<string, unknown>>) {
    super(String(body['message'] ?? type))
    this.status = status
    this.body = { type, ...body }
  }
}

export function invalid(message: string, more: { readonly code?: string; readonly param?: string } = {}): Refusal {
  return new Refusal(400, 'invalid_request_error', { message, ...more })
}

export function missing(id: string, param: string): Refusal {
  return new Refusal(404, 'invalid_request_error', {
    code: 'resource_missing',
    message: `No such object: '${id}'`,
    param,
  })
}
