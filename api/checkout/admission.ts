/** What a checkout asks for of one SKU, and how many were free when it looked. */
export interface Want {
  readonly sku: string
  readonly quantity: number
  readonly available: number
}

/**
 * The crowd before the last units, as this process sees it. Without it each of a thousand buyers of twenty units would
 * start a workflow to learn that it came too late. No right depends on it: placing reserves, whoever was let in.
 *
 * A checkout is let in while what is free is enough for it and for those that are in already. The others wait in line
 * and look again when one of those has its answer.
 */
export class Crowd {
  private readonly units = new Map<string, number>()
  private readonly lines = new Map<string, Set<() => void>>()

  /** Lets a checkout in, and returns how it leaves. Null when those that are in may take what it wants. */
  enter(wants: readonly Want[]): (() => void) | null {
    return this.contested(wants) ? null : this.letIn(wants)
  }

  /** Lets a checkout in that has waited long enough. */
  letIn(wants: readonly Want[]): () => void {
    for (const { sku, quantity } of wants) this.units.set(sku, this.inside(sku) + quantity)
    this.next(wants)
    return () => {
      for (const { sku, quantity } of wants) {
        const left = this.inside(sku) - quantity
        if (left > 0) this.units.set(sku, left)
        else this.units.delete(sku)
      }
      this.next(wants)
    }
  }

  /** Waits in line for what is contested, at most `ms`. */
  async turn(wants: readonly Want[], ms: number): Promise<void> {
    const sku = this.contested(wants)
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

  /** Lets the first in each line look again: one has left, or has looked and not gone back into line. */
  next(wants: readonly Pick<Want, 'sku'>[]): void {
    for (const { sku } of wants) {
      const [first] = this.lines.get(sku) ?? []
      first?.()
    }
  }

  /** The first SKU that those who are in may leave too little of. */
  private contested(wants: readonly Want[]): string | undefined {
    return wants.find(({ sku, quantity, available }) => {
      const inside = this.inside(sku)
      return inside > 0 && inside + quantity > available
    })?.sku
  }

  private inside(sku: string): number {
    return this.units.get(sku) ?? 0
  }
}
