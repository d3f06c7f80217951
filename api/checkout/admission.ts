import type { Demand } from '../../domain/inventory'

/** What a checkout asks for of one SKU, and how many were free when that was read. */
export interface CheckoutDemand extends Demand {
  readonly available: number
}

/**
 * The gate before the last units, as this process sees them. Without it each of a thousand buyers of twenty units would
 * start a workflow to learn that it came too late. No right depends on it: placing reserves, whoever was admitted.
 *
 * A checkout is admitted while what is free is enough for it and for those admitted before. The others wait in line, and
 * read again what is free when one of those has its answer.
 */
export class AdmissionGate {
  private readonly admitted = new Map<string, number>()
  private readonly lines = new Map<string, Set<() => void>>()

  /** Admits a checkout, and returns how it leaves. Null when those admitted before may take what it asks for. */
  tryAdmit(demand: readonly CheckoutDemand[]): (() => void) | null {
    return this.contested(demand) ? null : this.admit(demand)
  }

  /** Admits a checkout that has waited long enough, and returns how it leaves. */
  admit(demand: readonly Demand[]): () => void {
    for (const { sku, quantity } of demand) this.admitted.set(sku, this.unitsAdmitted(sku) + quantity)
    this.callNext(demand)
    return () => {
      for (const { sku, quantity } of demand) {
        const left = this.unitsAdmitted(sku) - quantity
        if (left > 0) this.admitted.set(sku, left)
        else this.admitted.delete(sku)
      }
      this.callNext(demand)
    }
  }

  /** Waits in line for the first SKU that is contested, at most `ms`. */
  async waitInLine(demand: readonly CheckoutDemand[], ms: number): Promise<void> {
    const sku = this.contested(demand)
    if (!sku) return
    const line = this.lines.get(sku) ?? new Set()
    this.lines.set(sku, line)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(go, ms)
      function go(): void {
        clearTimeout(timer)
        line.delete(go)
        resolve()
      }
      line.add(go)
    })
    if (line.size === 0 && this.lines.get(sku) === line) this.lines.delete(sku)
  }

  /** Calls the first in each line: somebody has left, or was called and did not go back into line. */
  callNext(demand: readonly Pick<Demand, 'sku'>[]): void {
    for (const { sku } of demand) {
      const [first] = this.lines.get(sku) ?? []
      first?.()
    }
  }

  /** The first SKU of which those admitted may leave too little. */
  private contested(demand: readonly CheckoutDemand[]): string | undefined {
    return demand.find(({ sku, quantity, available }) => {
      const units = this.unitsAdmitted(sku)
      return units > 0 && units + quantity > available
    })?.sku
  }

  private unitsAdmitted(sku: string): number {
    return this.admitted.get(sku) ?? 0
  }
}
