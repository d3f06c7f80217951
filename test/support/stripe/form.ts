/** What a form-encoded body holds: texts, lists and objects of them. */
export type Form = { [name: string]: string | Form }

/** `a[b][0]=c` → `{ a: { b: { 0: 'c' } } }`, as Stripe reads bodies and queries. */
export function readForm(text: string): Form {
  const form: Form = {}
  for (const [path, value] of new URLSearchParams(text)) {
    const names = [...path.matchAll(/[^[\]]+/g)].map(([name]) => name)
    let place = form
    for (const name of names.slice(0, -1)) {
      const next = place[name]
      place = typeof next === 'object' ? next : ((place[name] = {}) as Form)
    }
    place[names.at(-1) as string] = value
  }
  return form
}

/** A list is sent as an object of numbered entries. */
export function listOf(value: string | Form | undefined): string[] {
  return typeof value === 'object' ? Object.values(value).map(String) : []
}

/** `a[b]`, for each text that the form holds; numbers of lists are left out. */
export function pathsOf(form: Form, before = ''): string[] {
  return Object.entries(form).flatMap(([name, value]) => {
    const path = before === '' ? name : /^\d+$/.test(name) ? before : `${before}[${name}]`
    return typeof value === 'string' ? [path] : pathsOf(value, path)
  })
}
