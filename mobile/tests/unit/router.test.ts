import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Router, match, pathOf, type Route } from '../../src/core/router.svelte'

const load = async () => ({ default: (() => undefined) as never })
const routes: Route[] = [
  { path: '/incidents', load },
  { path: '/incidents/:id', load },
  { path: '/settings', load },
]

beforeEach(() => history.replaceState(null, '', '/app/'))

describe('paths', () => {
  it('match by their parts', () => {
    expect(match('/incidents/:id', '/incidents/a%20b')).toEqual({ id: 'a b' })
    expect(match('/incidents/:id', '/incidents')).toBeNull()
    expect(match('/incidents', '/settings')).toBeNull()
    expect(match('/incidents/:id', '/incidents/%E0%A4%A')).toBeNull()
  })

  it.each([
    ['pager://incidents/i1', '/incidents/i1'],
    ['pager:///incidents/i1?x=1', '/incidents/i1?x=1'],
    ['https://pager.test/app/incidents/i1', '/incidents/i1'],
    ['https://pager.test/app/register#token', '/register#token'],
    ['https://pager.test/app', '/'],
    ['https://pager.test/api/docs', null],
    ['https://evil.test/app/incidents/i1', null],
    ['javascript:alert(1)', null],
    ['nonsense', null],
    [`pager://${'x'.repeat(2_000)}`, null],
  ])('%s means %s', (link, path) => expect(pathOf(link, 'https://pager.test')).toBe(path))

  it('a phone without a server takes any Pager’s link', () => {
    expect(pathOf('https://other.test/app/incidents/i1', '')).toBe('/incidents/i1')
  })
})

describe('the router', () => {
  it('begins at home, goes and comes back', async () => {
    const router = new Router(routes, '/app')
    expect(router.path).toBe('/incidents')
    expect(router.isAtHome).toBe(true)
    router.go('/incidents/i1?tab=notes')
    expect([router.path, router.query.get('tab'), router.place?.params]).toEqual(['/incidents/i1', 'notes', { id: 'i1' }])
    expect(location.pathname).toBe('/app/incidents/i1')
    expect(router.isAtHome).toBe(false)
    const gone = new Promise((done) => addEventListener('popstate', done, { once: true }))
    router.back()
    await gone
    expect(router.isAtHome).toBe(true)
    router.go('/settings', { replace: true })
    router.back()
    expect(router.path).toBe('/incidents')
  })

  it('a path of nobody is no place', () => {
    history.replaceState(null, '', '/app/nothing/')
    expect(new Router(routes, '/app').place).toBeNull()
    history.replaceState(null, '', '/elsewhere')
    expect(new Router(routes, '/app').path).toBe('/incidents')
    history.replaceState(null, '', '/settings')
    expect(new Router(routes, '').path).toBe('/settings')
  })

  it('takes plain clicks on links of ours, and no others', () => {
    const router = new Router(routes, '/app')
    const go = vi.spyOn(router, 'go')
    document.body.innerHTML = `<a id="ours" href="/app/settings?x=1"><b>in</b></a><a id="api" href="/api/docs">a</a>
      <a id="else" href="https://else.test/app/settings">b</a><a id="new" href="/app/settings" target="_blank">c</a><p id="no">d</p>`
    const click = (id: string, more: MouseEventInit = {}) => {
      const event = new MouseEvent('click', { bubbles: true, cancelable: true, button: 0, ...more })
      const target = document.querySelector(id)!
      target.addEventListener('click', (heard) => {
        router.clicked(heard as MouseEvent)
        heard.preventDefault() // jsdom goes nowhere
      }, { once: true })
      target.dispatchEvent(event)
    }
    click('#ours b')
    expect(go).toHaveBeenCalledWith('/settings?x=1')
    for (const id of ['#api', '#else', '#new', '#no']) click(id)
    click('#ours b', { ctrlKey: true })
    click('#ours b', { button: 1 })
    expect(go).toHaveBeenCalledOnce()
  })
})
