//! One stream of a connection: bytes in, bytes out, each polled only when it has something to say. What lies on it between
//! reading and sending is its tray, which a door without streams has too.

use quinn::{RecvStream, SendStream, VarInt};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Unsent answers from which on a stream's questions are no longer read: a client that does not listen is not
/// served, and costs this much.
const UNSENT_BYTES_MAX: usize = 64 << 10;

/// The same for all streams of a connection together: with the transport's windows it keeps a hostile one under 1 MiB.
const UNSENT_BYTES_OF_ALL_MAX: usize = 128 << 10;

/// Streams of a connection from which on none keeps room for the next batch.
const STREAMS_FEW: usize = 8;

/// Bytes taken off a stream before they are answered: a batch of some two hundred requests.
const INBOX_BYTES_MAX: usize = 64 << 10;

/// Questions that wait for their answers, and answers that wait to be sent.
pub(super) struct Tray {
    /// Bytes that were read and not yet consumed.
    pub inbox: Vec<u8>,
    /// Bytes still to be dropped: the rest of a frame that was too large.
    pub skip: usize,
    /// Answers that are not yet handed to the transport.
    pub outbox: Vec<u8>,
    /// When the newest bytes were read.
    pub read_at: Instant,
    /// Whether the client has ended its side.
    pub ended: bool,
    /// Why nothing more is read, where the client no longer makes sense.
    hung_up: Option<VarInt>,
    late: Option<Late>,
}

/// One bidirectional stream.
pub(super) struct Lane {
    recv: RecvStream,
    send: SendStream,
    /// What lies between them.
    pub tray: Tray,
    sent: usize,
    all: Rc<Streams>,
    /// Unsent bytes of this one that `all` knows of.
    counted: usize,
}

/// What all streams of one connection have in common.
#[derive(Default)]
pub(super) struct Streams {
    open: Cell<usize>,
    unsent: Cell<usize>,
    /// Those that are not read because too much is unsent on others.
    waiting: RefCell<Vec<Waker>>,
}

/// Answers that come later, from the journal's thread.
struct Late {
    sender: UnboundedSender<Vec<u8>>,
    receiver: UnboundedReceiver<Vec<u8>>,
    expected: usize,
}

impl Tray {
    /// Questions that were read at a time.
    pub(super) fn new(inbox: Vec<u8>, read_at: Instant) -> Self {
        Self { inbox, skip: 0, outbox: Vec::new(), read_at, ended: false, hung_up: None, late: None }
    }

    /// Where one later answer will come from.
    pub(super) fn expect_late_answer(&mut self) -> UnboundedSender<Vec<u8>> {
        let late = self.late.get_or_insert_with(|| {
            let (sender, receiver) = unbounded_channel();
            Late { sender, receiver, expected: 0 }
        });
        late.expected += 1;
        late.sender.clone()
    }

    /// Where many later answers will come from: the stream is open until the client gives it up.
    pub(super) fn expect_late_answers(&mut self) -> UnboundedSender<Vec<u8>> {
        let sender = self.expect_late_answer();
        if let Some(late) = &mut self.late {
            late.expected = usize::MAX / 2;
        }
        sender
    }

    /// Reads no more: the client no longer makes sense. What was answered is still sent.
    pub(super) fn hang_up(&mut self, code: VarInt) {
        self.ended = true;
        self.inbox.clear();
        self.hung_up = Some(code);
    }

    /// Waits until every later answer has come.
    pub(super) async fn all_answered(&mut self) {
        poll_fn(|cx| {
            self.poll_late(cx);
            if self.expects_more() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn expects_more(&self) -> bool {
        self.late.as_ref().is_some_and(|late| late.expected > 0)
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) {
        let Some(late) = &mut self.late else { return };
        while late.expected > 0 {
            match late.receiver.poll_recv(cx) {
                Poll::Ready(Some(frames)) => {
                    late.expected -= 1;
                    self.outbox.extend_from_slice(&frames);
                }
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }
}

impl Lane {
    /// A stream that was just opened.
    pub(super) fn new(send: SendStream, recv: RecvStream, all: Rc<Streams>, now: Instant) -> Self {
        all.open.set(all.open.get() + 1);
        Self { recv, send, tray: Tray::new(Vec::new(), now), sent: 0, all, counted: 0 }
    }

    /// Hands answers to the transport; `false` where nobody wants them any more.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> bool {
        while self.sent < self.tray.outbox.len() {
            match Pin::new(&mut self.send).poll_write(cx, &self.tray.outbox[self.sent..]) {
                Poll::Ready(Ok(bytes)) => self.sent += bytes,
                Poll::Ready(Err(_)) => return false,
                Poll::Pending => return true,
            }
        }
        self.tray.outbox.clear();
        self.sent = 0;
        if self.all.open.get() > STREAMS_FEW {
            self.tray.outbox = Vec::new();
            if self.tray.inbox.is_empty() {
                self.tray.inbox = Vec::new();
            }
        }
        true
    }

    fn unsent(&self) -> usize {
        self.tray.outbox.len() - self.sent
    }

    /// Says how much is unsent here, and wakes who waited for it to become less.
    fn count(&mut self, unsent: usize) {
        let before = self.all.unsent.get();
        let after = before - self.counted + unsent;
        self.counted = unsent;
        self.all.unsent.set(after);
        if before > UNSENT_BYTES_OF_ALL_MAX && after <= UNSENT_BYTES_OF_ALL_MAX {
            self.all.waiting.take().into_iter().for_each(Waker::wake);
        }
    }

    fn owes_nothing(&self) -> bool {
        self.tray.outbox.is_empty() && !self.tray.expects_more()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.count(0);
        self.all.open.set(self.all.open.get() - 1);
    }
}

/// Waits until bytes were read of a stream, or the client has ended its side, and sends what it owes meanwhile; `None` where it is
/// over.
pub(super) struct LaneTurn(Option<Lane>);

impl LaneTurn {
    /// Waits for a stream.
    pub(super) fn new(lane: Lane) -> Self {
        Self(Some(lane))
    }
}

impl Future for LaneTurn {
    type Output = Option<Lane>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Lane>> {
        let Some(lane) = &mut self.0 else { return Poll::Ready(None) };
        if let Some(code) = lane.tray.hung_up.take() {
            // An error says that the stream has ended already.
            let _ = lane.recv.stop(code);
        }
        lane.tray.poll_late(cx);
        if !lane.poll_send(cx) {
            return Poll::Ready(None);
        }
        lane.count(lane.unsent());
        if lane.tray.ended {
            if lane.owes_nothing() {
                // An error says that the client has stopped listening, which is as good.
                let _ = lane.send.finish();
                return Poll::Ready(None);
            }
            return Poll::Pending;
        }
        if lane.unsent() > UNSENT_BYTES_MAX {
            return Poll::Pending;
        }
        if lane.all.unsent.get() > UNSENT_BYTES_OF_ALL_MAX {
            lane.all.waiting.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        let mut read = false;
        while lane.tray.inbox.len() < INBOX_BYTES_MAX {
            match pin!(lane.recv.read_chunk(INBOX_BYTES_MAX, true)).poll(cx) {
                Poll::Ready(Ok(Some(chunk))) => lane.tray.inbox.extend_from_slice(&chunk.bytes),
                Poll::Ready(Ok(None)) => lane.tray.ended = true,
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => break,
            }
            read = true;
            if lane.tray.ended {
                break;
            }
        }
        if !read {
            return Poll::Pending;
        }
        lane.tray.read_at = super::clock::instant();
        Poll::Ready(self.0.take())
    }
}
