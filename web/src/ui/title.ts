/** The tab's title and icon: what goes on can be seen from another tab. */
export function setTitle(title: string, mood?: 'running' | 'failed'): void {
  const sign = mood === 'running' ? '● ' : mood === 'failed' ? '✕ ' : ''
  document.title = `${sign}${title} · Plimsoll`
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')
  const href = mood ? `/favicon-${mood}.svg` : '/favicon.svg'
  if (icon && icon.getAttribute('href') !== href) icon.setAttribute('href', href)
}
