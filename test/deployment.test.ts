import { servedOf } from '../deployment'

const NOW = 1_000_000_000
const poller = (buildId: string, secondsAgo: number, isOurs = true) => ({
  isOurs,
  buildId,
  at: NOW - secondsAgo * 1_000,
})

it('a build is served by those of its workers that asked for work within the last polls', () => {
  const pollers = [poller('a', 400), poller('a', 59), poller('killed', 90), poller('', 0), poller('other', 0, false)]
  expect([...servedOf(pollers, NOW)]).toEqual(['a'])
  expect([...servedOf([], NOW)]).toEqual([])
})
