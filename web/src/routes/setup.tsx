import { createFileRoute } from '@tanstack/react-router'
import { Invitation } from '@/features/invitation'

export const Route = createFileRoute('/setup')({ component: () => <Invitation title="Welcome to Plimsoll" first /> })
