/** What an editor's button does: what is new is made, and of what was there before only what was changed is sent. */

import type { Form } from '../../ui/form/form.svelte'
import type { Held, Seen } from '../../ui/form/held.svelte'

interface Editor<Value, Change extends object> {
  readonly form: Form
  readonly held: Held<Value>
  readonly id: string
  readonly isNew: boolean
  /** What need not be asked to be known, each at its field. */
  faults(): Iterable<[field: string, text: string]>
  changes(): Change
  /** Show what the gateway has now. */
  fill(): void
}

/** The id of what was saved, or null where it was refused: the form says why. `make` answers the id of what is new. */
export async function save<Value, Change extends object>(
  editor: Editor<Value, Change>,
  make: () => Promise<string>,
  change: (body: Change) => Promise<Seen<Value>>,
): Promise<string | null> {
  if (!editor.form.accepts(editor.faults())) return null
  let { id } = editor
  const isDone = await editor.form.send(async () => {
    if (editor.isNew) {
      id = await make()
      return
    }
    const body = editor.changes()
    if (Object.keys(body).length === 0) return
    editor.held.put(await change(body))
    editor.fill()
  })
  return isDone ? id : null
}
