// What can be followed over one line, and how far one is in it. Pure. The server's own words: `domain::topics`.

/** So many topics take one line. */
export const MOST = 16

/** A place in a topic, as text: the number of an event or of a line, or a cursor of logs. */
export type TopicPlace = string

/** What a topic is called in the id of a message. */
export function keyOf(topic: string): string {
  if (topic === 'events') return 'e'
  if (topic === 'notices') return 'n'
  return topic.replace(/^(?:dep|env):/, '').replace(/:log$/, '')
}

/** Where one is in each topic, by its key: from an id such as `e=4;dep_01=9;shop/production=aa:3,bb:1`. */
export function placesOf(id: string): Map<string, TopicPlace> {
  const places = new Map<string, TopicPlace>()
  for (const part of id.split(';')) {
    const at = part.indexOf('=')
    if (at > 0) places.set(part.slice(0, at), part.slice(at + 1))
  }
  return places
}

/** From where on both have all that follows. Cursors of logs have a part for each log; a log that is not named was not read. */
export function earlier(a: TopicPlace, b: TopicPlace): TopicPlace {
  if (!a.includes(':') && !b.includes(':')) return Number(a) <= Number(b) ? a : b
  const other = partsOf(b)
  const both = [...partsOf(a)].flatMap(([log, seq]) => {
    const there = other.get(log)
    return there === undefined ? [] : [`${log}:${Math.min(seq, there)}`]
  })
  return both.length > 0 ? both.join(',') : '0'
}

function partsOf(cursor: TopicPlace): Map<string, number> {
  return new Map(
    cursor
      .split(',')
      .filter((part) => part.includes(':'))
      .map((part) => [part.slice(0, part.indexOf(':')), Number(part.slice(part.indexOf(':') + 1))] as const),
  )
}
