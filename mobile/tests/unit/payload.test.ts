import { describe, expect, it } from 'vitest'
import { answerNotice, pageNotice, tagOf } from '../../src/sw/notices'
import { carried, parse, type Pushed } from '../../src/sw/payload'

const NOTIFICATION = '0198f3a1-7c42-7d31-9a55-3f2b6c1d8e90'
const INCIDENT = '0198f3a1-7c42-7d31-9a55-3f2b6c1d8e91'
const said = (more: object = {}) =>
  JSON.stringify({ notificationId: NOTIFICATION, incidentId: INCIDENT, priority: 'high', kind: 'page', title: 'DB', body: 'down', url: 'x', level: '2', ...more })

describe('a push', () => {
  it('is read as the notifier makes it', () => {
    expect(parse(said())).toEqual({ notificationId: NOTIFICATION, incidentId: INCIDENT, priority: 'high', kind: 'page', title: 'DB', body: 'down', level: 2 })
    expect(parse(said({ incidentId: undefined, test: 'true', level: undefined }))).toMatchObject({ incidentId: null, level: null })
  })

  it.each(['', 'no JSON', 'null', '7', '[]', '{}', said({ notificationId: 7 }), said({ notificationId: '../x' }), said({ incidentId: undefined }), said({ body: 'x'.repeat(9_000) })])(
    'is none where it is no page: %.40s',
    (text) => expect(parse(text)).toBeNull(),
  )

  it('makes a noise where it is not known, and believes no level that cannot be', () => {
    expect(parse(said({ kind: 'new-kind', priority: 'P1', level: '1e9' }))).toMatchObject({ kind: 'page', priority: 'critical', level: null })
    expect(parse(said({ kind: ['resolved'], priority: {}, level: [] }))).toMatchObject({ kind: 'page', priority: 'critical' })
  })

  it('is shortened between letters, without control characters or marks that turn the text round', () => {
    const { title, body } = parse(said({ title: `a\u202Eb\u0007${'😀'.repeat(300)}`, body: ['not a text'] })) as Pushed
    expect([...title]).toHaveLength(200)
    expect(title.startsWith('a b 😀')).toBe(true)
    expect(title.endsWith('😀…')).toBe(true)
    expect(body).toBe('')
  })

  it('is carried by its notification, or nothing is', () => {
    const pushed = parse(said()) as Pushed
    expect(carried(pushed)).toEqual(pushed)
    const round: Record<string, unknown> = {}
    round['self'] = round
    for (const data of [null, undefined, 'text', round]) expect(carried(data)).toBeNull()
  })
})

describe('a notification', () => {
  const pushed = parse(said({ priority: 'critical' })) as Pushed

  it('stays and vibrates for as long as it is critical, and leads nowhere by itself', () => {
    const { title, options } = pageNotice(pushed, '/app/')
    expect([title, options.body, options.tag, options.requireInteraction]).toEqual(['DB', 'down', `incident:${INCIDENT}`, true])
    expect(options.actions?.map(({ action }) => action)).toEqual(['acknowledge', 'open'])
    expect(options.vibrate?.length).toBeGreaterThan(3)
    expect(JSON.stringify(options)).not.toContain('http')
    expect(pageNotice({ ...pushed, priority: 'low', title: '' }, '/app/')).toMatchObject({ title: 'Something needs you', options: { requireInteraction: false, vibrate: [] } })
  })

  it('of a test has nothing to acknowledge', () => {
    const test = { ...pushed, incidentId: null }
    expect([tagOf(test), pageNotice(test, '/app/').options.actions]).toEqual([`test:${NOTIFICATION}`, []])
    expect(carried(pageNotice(test, '/app/').options.data)).toEqual(test)
  })

  it('that says what became of an answer is silent', () => {
    expect(answerNotice(pushed, '/app/', 'Acknowledged', 'DB', false).options).toMatchObject({ silent: true, requireInteraction: false })
  })
})
