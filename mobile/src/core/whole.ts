/** Rows that are read at most: nobody chooses among more of them on a phone. */
const MOST = 500

/**
 * A list page by page to its end, within reason, or to the page that has what is looked for. `ask` answers a page and the
 * cursor of the next one. Raises what it raises.
 */
export async function whole<Item>(
  ask: (cursor: string | undefined) => Promise<[readonly Item[], string | null | undefined]>,
  isWanted: (item: Item) => boolean = () => false,
): Promise<Item[]> {
  const found: Item[] = []
  for (let cursor: string | undefined; found.length < MOST; ) {
    const [items, next] = await ask(cursor)
    found.push(...items)
    if (!next || items.some(isWanted)) break
    cursor = next
  }
  return found
}
