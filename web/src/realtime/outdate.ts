// What is known by now to be old is asked for again.
import type { Query, QueryClient, QueryKey } from '@tanstack/react-query'

/** Whose first answer is on its way, and may be old as it comes. */
const late = new WeakSet<Query>()

/**
 * What begins with `queryKey` is old; everything without one. It is asked for again where it is shown. A first answer that is on
 * its way may be from before, and the library asks no second time beside it: that is done when it is there.
 */
export function outdate(client: QueryClient, queryKey?: QueryKey): void {
  for (const query of client.getQueryCache().findAll({ queryKey, fetchStatus: 'fetching' })) {
    if (query.state.data !== undefined || late.has(query)) continue
    late.add(query)
    const again = () => {
      late.delete(query)
      void client.invalidateQueries({ queryKey: query.queryKey, exact: true })
    }
    // What has failed is no answer that could be old.
    query.promise?.then(again, () => late.delete(query))
  }
  void client.invalidateQueries({ queryKey })
}
