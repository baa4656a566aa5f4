"""The scenes of the demo that are played in groups: a class, a live room, and a call that somebody joins late."""

from collections.abc import Callable

from examples.classroom import Student, Teacher
from examples.group_call import GroupPhone
from examples.live_room import Host, Listener
from examples.scenes import Scenes
from ringline import SignalingClient


class GroupPlay(Scenes):
    """Everybody has one device."""

    def teacher(self, user: str, class_id: str) -> Teacher:
        """A teacher's device that is connected."""
        client = SignalingClient(self.url, user=user)
        teacher = Teacher(client, class_id, self.stage.actor(user))
        self.connect(client)
        return teacher

    def student(self, user: str) -> Student:
        """A student's device that is connected."""
        client = SignalingClient(self.url, user=user)
        student = Student(client, self.stage.actor(user))
        self.connect(client)
        return student

    def host(self, user: str, room: str) -> Host:
        """A host's device that is connected."""
        client = SignalingClient(self.url, user=user)
        host = Host(client, room, self.stage.actor(user))
        self.connect(client)
        return host

    def listener(self, user: str, room: str) -> Listener:
        """A listener's device that is connected."""
        client = SignalingClient(self.url, user=user)
        listener = Listener(client, room, self.stage.actor(user))
        self.connect(client)
        return listener

    def group_phone(self, user: str, group_id: str) -> GroupPhone:
        """A member's phone that is connected."""
        client = SignalingClient(self.url, user=user)
        phone = GroupPhone(client, group_id, self.stage.actor(user))
        self.connect(client)
        return phone

    # The scenes.

    def classroom(self) -> None:
        """A class, from the question to its end."""
        expect = self.stage.expect
        with self.scene("7. Tess teaches Ann, Ben and Cleo. She asks who wants to speak; Ann and Ben do, and Ben may."):
            tess = self.teacher("tess", "class-1")
            ann, ben = self.student("ann"), self.student("ben")
            self.student("cleo")
            tess.open(["ann", "ben", "cleo"])
            tess.ask()
            expect("tess", "opens the class for ann, ben, cleo", "asks who wants to speak")
            for student in ("ann", "ben", "cleo"):
                expect(student, "is asked by tess to raise a hand")
            ann.raise_hand()
            for who, what in (("ann", "raises a hand"), ("ben", "sees"), ("cleo", "sees"), ("tess", "sees")):
                expect(who, what if who == "ann" else f"{what} the hand of ann")
            ben.raise_hand()
            for who, what in (("ben", "raises a hand"), ("ann", "sees"), ("cleo", "sees"), ("tess", "sees")):
                expect(who, what if who == "ben" else f"{what} the hand of ben")
            tess.pick("ben")
            expect("tess", "invites ben to speak")
            expect("ben", "is invited to speak")
            ben.speak()
            expect("ben", "speaks")
            for who in ("tess", "ann", "cleo"):
                expect(who, "listens to ben")
            tess.end()
            expect("tess", "asks no longer")
            expect("cleo", "need not answer any more")
            for who in ("ann", "ben"):
                expect(who, "hears that the question is over")

    def live_room(self) -> None:
        """Seats that are asked for, offered, left and taken away."""
        expect = self.stage.expect
        with self.scene("8. In Hana's live room Leo asks for a seat, Lou is offered one; he leaves, she is taken off."):
            hana = self.host("hana", "room-1")
            hana.open()
            expect("hana", "opens the room")
            leo, lou = self.listener("leo", "room-1"), self.listener("lou", "room-1")
            for name, listener in (("leo", leo), ("lou", lou)):
                listener.enter()
                expect(name, "comes in")
                expect("hana", f"sees {name} come in")
            leo.ask("seat-1")
            expect("leo", "asks for seat-1")
            expect("hana", "hears that leo asks for seat-1")
            hana.let_in()
            expect("leo", "sits on seat-1")
            for who in ("hana", "lou"):
                expect(who, "sees leo on seat-1")
            hana.offer("lou", "seat-2")
            expect("hana", "offers seat-2 to lou")
            expect("lou", "is offered seat-2")
            lou.take_offer()
            expect("lou", "sits on seat-2")
            for who in ("hana", "leo"):
                expect(who, "sees lou on seat-2")
            leo.leave()
            expect("leo", "leaves seat-1")
            for who in ("hana", "lou"):
                expect(who, "sees seat-1 free")
            hana.clear("seat-2")
            expect("lou", "is taken off seat-2 by hana")
            for who in ("hana", "leo"):
                expect(who, "sees seat-2 free")

    def group_call(self) -> None:
        """A call that somebody joins late."""
        expect = self.stage.expect
        with self.scene("9. Ann calls Ben and Dave in their group. Dave is out; he comes later, and Ben lets him in."):
            ann = self.group_phone("ann", "friends")
            ann.found(["ben", "dave"])
            expect("ann", "makes the group of ann, ben, dave")
            ben = self.group_phone("ben", "friends")
            ann.start(["ben", "dave"], "r-9")
            expect("ann", "calls ben, dave, room r-9")
            expect("ben", "sees ann in the call", "rings: ann calls")
            ben.accept()
            expect("ben", "enters room r-9")
            expect("ann", "sees ann, ben in the call")
            self.stage.tell("Dave comes home")
            dave = self.group_phone("dave", "friends")
            expect("dave", "rings: ann calls")
            dave.reject()
            expect("dave", "stops ringing: rejected")
            self.stage.tell("Dave has changed his mind")
            dave.ask_in()
            expect("dave", "sees a call of ann, ben")
            for who in ("ann", "ben"):
                expect(who, "hears dave knock")
            ben.let_in()
            expect("ben", "lets dave in")
            expect("ann", "hears that ben lets dave in")
            expect("dave", "enters room r-9")
            for who in ("ann", "ben"):
                expect(who, "sees ann, ben, dave in the call")
            ann.leave()
            expect("ann", "leaves room r-9")
            for who in ("ben", "dave"):
                expect(who, "sees ben, dave in the call")

    def scenes(self) -> tuple[Callable[[], None], ...]:
        """In their order."""
        return (self.classroom, self.live_room, self.group_call)
