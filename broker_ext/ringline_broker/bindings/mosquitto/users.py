"""Who may log in to a Mosquitto with dynamic security."""

from typing import Final, cast

from ringline.protocol.topics import Topics
from ringline_broker.bindings.mosquitto.control import Command, Control, ControlRefused, check
from ringline_broker.bindings.mosquitto.roles import Roles

_EXISTS: Final = ("Role already exists", "Client already exists")


class Users:
    """The users of one deployment, by commands to the running broker.

    Args:
        control: connected, with an account that may manage permissions.
        topics: the prefix.
    """

    def __init__(self, control: Control, topics: Topics) -> None:
        self._control = control
        self._roles = Roles(topics)

    async def add(self, user: str, password: str) -> bool:
        """Add a user; one there is gets this password, and their connections end.

        Args:
            user: without fault, see `roles.name_fault`.
            password: as it is; the plugin keeps a hash of it.

        Returns:
            Whether the user is new.

        Raises:
            ControlRefused: the plugin refuses it, or there is an account of this name that is no user's.
            BrokerUnavailable: it does not answer.
        """
        own, everyone = self._roles.user(user), self._roles.everyone()
        roles = [{"rolename": role.name} for role in (own, everyone)]
        create: Command = {"command": "createClient", "username": user, "password": password, "roles": roles}
        known, made, client = await self._control.run(
            ({"command": "getClient", "username": user}, {"command": "createRole", **own.as_json()}, create)
        )
        check((made, client), *_EXISTS)
        if client.error is None:
            return True
        has = {role["rolename"] for role in known.data.get("client", {}).get("roles", [])}
        if own.name not in has:
            if made.error is None:
                await self._control.run([{"command": "deleteRole", "rolename": own.name}])
            raise ControlRefused(f"the broker has an account {user} that is no user of Ringline's")
        check(await self._control.run([{"command": "setClientPassword", "username": user, "password": password}]))
        return False

    async def remove(self, user: str) -> bool:
        """Remove a user, and end their connections; whether there was one.

        Raises:
            ControlRefused, BrokerUnavailable: as above.
        """
        own = self._roles.user(user).name
        (known,) = await self._control.run([{"command": "getRole", "rolename": own}])
        if known.error is not None:
            return False
        gone = await self._control.run(
            ({"command": "deleteClient", "username": user}, {"command": "deleteRole", "rolename": own})
        )
        check(gone, "Client not found")
        return True

    async def names(self) -> list[str]:
        """All users, in order.

        Raises:
            ControlRefused, BrokerUnavailable: as above.
        """
        (answer,) = await self._control.run([{"command": "listRoles", "verbose": False}])
        check((answer,))
        head, names = self._roles.users_head, cast("list[str]", answer.data.get("roles", []))
        return sorted(name.removeprefix(head) for name in names if name.startswith(head))
