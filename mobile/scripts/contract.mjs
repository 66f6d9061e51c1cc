// The types of the API, from the gateway's description. `--write` writes them; without it a difference is an error.
import { readFileSync, writeFileSync } from 'node:fs'
import openapiTS, { astToString } from 'openapi-typescript'

const kept = new URL('../src/core/schema.d.ts', import.meta.url)
const described = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'))

/** Without what is only for people: it would be most of the file. A property may have such a name. */
function bare(part, isNames = false) {
  if (Array.isArray(part)) return part.map((each) => bare(each))
  if (part === null || typeof part !== 'object') return part
  const kept = Object.entries(part).filter(
    ([name]) => isNames || !['description', 'summary', 'title', 'example', 'examples', 'pattern'].includes(name),
  )
  return Object.fromEntries(kept.map(([name, each]) => [name, bare(each, ['properties', 'schemas'].includes(name) && !isNames)]))
}

const types = bare(described)
// A response has to have a description.
for (const path of Object.values(types.paths)) {
  for (const operation of Object.values(path)) {
    for (const answer of Object.values(operation.responses ?? {})) answer.description = ''
  }
}

const made =
  '// Generated from docs/openapi.json by `npm run contract:write`.\n' +
  astToString(await openapiTS(types, { defaultNonNullable: false }))

if (process.argv.includes('--write')) {
  writeFileSync(kept, made)
} else if (readFileSync(kept, 'utf8') !== made) {
  console.error('src/core/schema.d.ts is not what docs/openapi.json says: npm run contract:write, and see what breaks')
  process.exit(1)
}
