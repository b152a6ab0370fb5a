import type { LinkProps } from '@tanstack/react-router'
import {
  Bell,
  BookOpen,
  Boxes,
  ChartLine,
  CheckCheck,
  KeyRound,
  LayoutDashboard,
  ListOrdered,
  type LucideIcon,
  ScrollText,
  Settings,
  Users,
} from 'lucide-react'
import { to } from '@/paths'

export interface Place {
  word: string
  icon: LucideIcon
  link: LinkProps
  /** The key that leads there, after `g`. */
  key: string
  /** On a phone: at the bottom, or behind "More". */
  bottom?: boolean
  /** Only at its own address, not below it. */
  exact?: boolean
}

/** What stands in the navigation, in this order. A page that belongs there is added here and nowhere else. */
export const places: Place[] = [
  { word: 'Overview', icon: LayoutDashboard, link: to.overview(), key: 'o', bottom: true, exact: true },
  { word: 'Deployments', icon: Boxes, link: to.deployments(), key: 'd', bottom: true },
  { word: 'Queue', icon: ListOrdered, link: to.queue(), key: 'q', bottom: true },
  { word: 'Approvals', icon: CheckCheck, link: to.approvals(), key: 'v' },
  { word: 'Notifications', icon: Bell, link: to.notifications(), key: 'n' },
  { word: 'Figures', icon: ChartLine, link: to.figures(), key: 'f' },
  { word: 'People', icon: Users, link: to.people(), key: 'p' },
  { word: 'Tokens', icon: KeyRound, link: to.tokens(), key: 't' },
  { word: 'Audit log', icon: ScrollText, link: to.audit(), key: 'a' },
  { word: 'Guides', icon: BookOpen, link: to.guides(), key: 'h' },
  { word: 'Settings', icon: Settings, link: to.settings(), key: 's', exact: true },
]
