import { useSuspenseQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { CircleUser, LogOut, UserCog } from 'lucide-react'
import { me } from '@/api/queries'
import { to } from '@/paths'
import { usePreferences } from '@/preferences'
import { Button } from '@/ui/button'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '@/ui/menu'
import { useChoose, useSignOut } from './personal'

/** Who one is, and what one may change about it. */
export default function Account() {
  const { data: person } = useSuspenseQuery(me())
  const { theme } = usePreferences()
  const choose = useChoose()
  const leave = useSignOut()
  const navigate = useNavigate()
  return (
    <Menu
      trigger={
        <Button look="quiet" size="icon" aria-label={`Account of ${person.name}`}>
          <CircleUser aria-hidden />
        </Button>
      }
    >
      <MenuLabel>
        <span className="block font-medium text-text">{person.name}</span>
        {person.email}
      </MenuLabel>
      <MenuLine />
      <MenuChoice
        label="Colours"
        value={theme}
        onChange={(value) => void choose({ theme: value })}
        options={[
          ['system', 'As the system'],
          ['light', 'Light'],
          ['dark', 'Dark'],
        ]}
      />
      <MenuLine />
      <MenuItem onClick={() => void navigate(to.account())}>
        <UserCog aria-hidden /> Account and sessions
      </MenuItem>
      <MenuItem onClick={() => void leave()}>
        <LogOut aria-hidden /> Sign out
      </MenuItem>
    </Menu>
  )
}
