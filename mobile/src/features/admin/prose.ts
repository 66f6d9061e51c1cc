/** Markdown of a review as elements: headings, points and paragraphs. Nothing of it is ever markup of the page. */

export interface Block {
  kind: 'heading' | 'item' | 'text'
  text: string
}

const ID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g

/** Ids in a text: of people, where somebody has a name for them. */
export function idsIn(text: string): string[] {
  return [...new Set(text.match(ID) ?? [])]
}

/** Escapes of Markdown, and emphasis of a whole line. */
function plain(text: string): string {
  const unescaped = text.replace(/\\([\p{P}\p{S}])/gu, '$1')
  return /^(_[^_]+_|\*[^*]+\*)$/.test(unescaped) ? unescaped.slice(1, -1) : unescaped
}

/** With names in the place of people's ids, where they are known. */
export function blocks(text: string, nameOf: (id: string) => string | null): Block[] {
  const named = text.replace(ID, (id) => nameOf(id) ?? id)
  const found: Block[] = []
  let isOpen = false
  for (const line of named.split(/\r?\n/)) {
    const trimmed = line.trim()
    const heading = /^#{1,6}\s+(.*)$/.exec(trimmed)
    const item = /^(?:[-*+]|\d+[.)])\s+(.*)$/.exec(trimmed)
    if (trimmed === '') isOpen = false
    else if (heading !== null) found.push({ kind: 'heading', text: heading[1]! })
    else if (item !== null) found.push({ kind: 'item', text: item[1]! })
    else if (isOpen && found.at(-1)?.kind === 'text') found.at(-1)!.text += ` ${trimmed}`
    else found.push({ kind: 'text', text: trimmed })
    isOpen = trimmed !== '' && heading === null && item === null
  }
  return found.map((block) => ({ ...block, text: plain(block.text) }))
}
