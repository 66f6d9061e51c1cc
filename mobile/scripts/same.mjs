// Whether services/gateway/webapp is what the sources build to, byte by byte. Names each file that differs.
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { build } from 'vite'

const committed = new URL('../../services/gateway/webapp/', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'pager-app-'))
const files = (root) =>
  readdirSync(root, { recursive: true })
    .filter((name) => statSync(join(root, name)).isFile())
    .map((name) => relative(root, join(root, name)))

try {
  await build({ logLevel: 'warn', build: { outDir: folder } })
  const names = [...new Set([...files(folder), ...files(committed)])].sort()
  const read = (root, name) => {
    try {
      return readFileSync(join(root, name))
    } catch {
      return null
    }
  }
  const different = names.flatMap((name) => {
    const [made, kept] = [read(folder, name), read(committed, name)]
    if (kept === null) return [`${name} is not committed`]
    if (made === null) return [`${name} is committed, and nothing builds it`]
    return made.equals(kept) ? [] : [`${name} differs`]
  })
  for (const line of different) console.error(line)
  if (different.length > 0) {
    console.error('services/gateway/webapp is not what mobile/ builds to: make app, and commit it')
    process.exitCode = 1
  } else console.log(`services/gateway/webapp is what mobile/ builds to: ${names.length} files`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
