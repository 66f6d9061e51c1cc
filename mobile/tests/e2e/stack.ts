/** A Pager of these tests' own: `pager up` as anybody starts it, in a temporary home on free ports, and gone at the end. */

import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  export interface ProvidedContext {
    pager: Where
  }
}

const PAGER = new URL('../../../.venv/bin/pager', import.meta.url).pathname
const STARTS_IN = 120_000
const STOPS_IN = 30_000
const LOOK_EVERY = 100

interface Where {
  home: string
  gateway: string
  adminEmail: string
  adminPassword: string
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'pager-home-'))
  // Started by root the servers run as another account, which passes through.
  if (process.geteuid?.() === 0) await chmod(home, 0o711)
  const log = await open(join(home, 'up.log'), 'w')
  const environment = {
    ...process.env,
    PAGER_HOME: home,
    PAGER_SIMULATOR_PORT: '0',
    PAGER_LOG_LEVEL: 'warning',
    // One address asks for what a hundred would.
    ENABLE_RATE_LIMITING: 'false',
  }
  const child = spawn(PAGER, ['up', '--port', '0'], { env: environment, stdio: ['ignore', log.fd, log.fd] })
  const atExit = () => void child.kill('SIGTERM')
  process.once('exit', atExit)
  const stop = async () => {
    await end(child)
    process.removeListener('exit', atExit)
    await log.close()
    await rm(home, { recursive: true, force: true })
  }
  try {
    project.provide('pager', await running(home, child))
  } catch (error) {
    console.error(await readFile(join(home, 'up.log'), 'utf8'))
    await stop()
    throw error
  }
  return stop
}

async function running(home: string, child: ChildProcess): Promise<Where> {
  const until = Date.now() + STARTS_IN
  let last: unknown = 'nothing was said'
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`pager up has ended with ${child.exitCode}`)
    try {
      const { gateway } = JSON.parse(await readFile(join(home, 'run.json'), 'utf8')) as { gateway: string }
      const answer = await fetch(`${gateway}/api/health/ready`, { signal: AbortSignal.timeout(5_000) })
      if (answer.ok) {
        const secrets = JSON.parse(await readFile(join(home, 'secrets.json'), 'utf8')) as Record<string, string>
        return { home, gateway, adminEmail: secrets['adminEmail'] ?? '', adminPassword: secrets['adminPassword'] ?? '' }
      }
      last = await answer.text()
    } catch (error) {
      last = error
    }
    await new Promise((done) => setTimeout(done, LOOK_EVERY))
  }
  throw new Error(`pager up was not ready in ${STARTS_IN / 1_000} s: ${String(last)}`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const ended = new Promise((done) => child.once('exit', done))
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), STOPS_IN)
  await ended
  clearTimeout(killer)
}
