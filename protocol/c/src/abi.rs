//! The functions. All unsafe code of the client is here: pointers are looked at, and nothing else.
#![expect(unsafe_code, reason = "a C ABI is made of pointers that only the caller can vouch for")]
#![expect(non_camel_case_types, reason = "their names in C")]

use crate::answer::sparr_answer;
use crate::client::Blocking;
use crate::options::{make, sparr_options, text};
use sparr_protocol::codes::Kind;
use sparr_protocol::ids::RequestId;
use sparr_protocol::request::AuthorisationRequest;
use sparr_protocol::time::Timestamp;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What became of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sparr_status {
    /// It did what it was asked for. Of a screening: every answer is filled in, whatever it says.
    SPARR_OK = 0,
    /// An argument is NULL that must not be.
    SPARR_NULL_ARGUMENT = 1,
    /// An argument is not UTF-8, or not a value of its kind.
    SPARR_INVALID_ARGUMENT = 2,
    /// Certificate, key or authority cannot be read.
    SPARR_IDENTITY = 3,
    /// The fail policy does not say something about every kind of request.
    SPARR_FAIL_POLICY = 4,
    /// The engine does not answer, or does not let this client in.
    SPARR_UNREACHABLE = 5,
    /// A reason has no name at the engine.
    SPARR_UNKNOWN = 6,
    /// The buffer is too small; it holds what fits.
    SPARR_BUFFER_TOO_SMALL = 7,
    /// An error in the client itself. Screenings say `decline`.
    SPARR_PANIC = 8,
}
use sparr_status::*;

/// A client of one engine. From `sparr_client_new`, until `sparr_client_free`.
pub struct sparr_client(Blocking);

/// A request that is being put together. From `sparr_request_new`, until `sparr_request_free`.
pub struct sparr_request(AuthorisationRequest);

/// Runs a function's body. A panic ends here: what it left behind is not used any more.
fn guarded<T>(after_panic: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(after_panic)
}

/// Writes what fits of a text into a buffer, with an end. Returns whether all of it did.
///
/// # Safety
///
/// `buffer` is NULL, or has `size` bytes that may be written.
unsafe fn write(said: &str, buffer: *mut c_char, size: usize) -> bool {
    if buffer.is_null() || size == 0 {
        return false;
    }
    let fits = said.floor_char_boundary(size - 1);
    // SAFETY: `fits` bytes and an end are at most `size`, and the caller's buffer is no Rust object.
    unsafe {
        std::ptr::copy_nonoverlapping(said.as_ptr().cast::<c_char>(), buffer, fits);
        *buffer.add(fits) = 0;
    }
    fits == said.len()
}

/// Makes a client. It connects at its first call, and again whenever the connection is lost.
///
/// Where it cannot be made, `*client` is NULL and `problem`, where it is not NULL, says why in words.
///
/// # Safety
///
/// Pointers are NULL or valid; `problem` has `problem_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_client_new(
    options: *const sparr_options,
    client: *mut *mut sparr_client,
    problem: *mut c_char,
    problem_size: usize,
) -> sparr_status {
    guarded(SPARR_PANIC, || {
        if client.is_null() {
            return SPARR_NULL_ARGUMENT;
        }
        // SAFETY: not NULL, so it may be written; options are NULL or valid.
        let made = unsafe {
            *client = std::ptr::null_mut();
            options
                .as_ref()
                .ok_or_else(|| (SPARR_NULL_ARGUMENT, "no options".to_owned()))
                .and_then(|all| make(all))
        };
        let (status, said) = match made {
            Ok(made) => {
                // SAFETY: not NULL. Whoever gets it gives it back with `sparr_client_free`.
                unsafe { *client = Box::into_raw(Box::new(sparr_client(made))) };
                (SPARR_OK, String::new())
            }
            Err(failed) => failed,
        };
        // SAFETY: the caller says how long the buffer is.
        unsafe { write(&said, problem, problem_size) };
        status
    })
}

/// Gives a client back; NULL is nothing. No other call may use it any more.
///
/// # Safety
///
/// `client` is NULL, or from `sparr_client_new` and not given back yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_client_free(client: *mut sparr_client) {
    guarded((), || {
        if !client.is_null() {
            // SAFETY: it came from a box of this kind, and comes back once.
            drop(unsafe { Box::from_raw(client) });
        }
    });
}

/// Connects now, so that the first call does not pay for it, and a wrong certificate is told early.
///
/// # Safety
///
/// `client` is NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_client_connect(client: *const sparr_client) -> sparr_status {
    guarded(SPARR_PANIC, || {
        // SAFETY: NULL or valid.
        match unsafe { client.as_ref() } {
            None => SPARR_NULL_ARGUMENT,
            Some(client) => client.0.connect().map_or(SPARR_UNREACHABLE, |()| SPARR_OK),
        }
    })
}

/// Begins a request: its id, 32 hexadecimal digits or a UUID, and its kind, such as `card_payment`. The same id asked
/// again is the same question: it is answered alike and counted once.
///
/// # Safety
///
/// Pointers are NULL or valid, texts end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_request_new(
    request_id: *const c_char,
    kind: *const c_char,
    request: *mut *mut sparr_request,
) -> sparr_status {
    guarded(SPARR_PANIC, || {
        if request.is_null() {
            return SPARR_NULL_ARGUMENT;
        }
        // SAFETY: not NULL; the texts are NULL or valid.
        let (id, kind) = unsafe {
            *request = std::ptr::null_mut();
            (text(request_id), text(kind))
        };
        let (id, kind) = match (id, kind) {
            (Ok(id), Ok(kind)) => (id, kind),
            (Err(status), _) | (_, Err(status)) => return status,
        };
        let (Some(id), Some(kind)) = (RequestId::parse(id), Kind::parse(kind)) else {
            return SPARR_INVALID_ARGUMENT;
        };
        let mut made = AuthorisationRequest::new(id, kind, Timestamp::from_ms(0));
        made.event_time = None;
        // SAFETY: not NULL. Whoever gets it gives it back with `sparr_request_free`.
        unsafe { *request = Box::into_raw(Box::new(sparr_request(made))) };
        SPARR_OK
    })
}

/// Sets a field by its name, as in JSON: `amount_minor`, `currency`, `subject`, `auth.method` … What is wrong is said in
/// `problem`, where it is not NULL; the value is not repeated.
///
/// # Safety
///
/// Pointers are NULL or valid, texts end; no other call uses the request; `problem` has `problem_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_request_set(
    request: *mut sparr_request,
    name: *const c_char,
    value: *const c_char,
    problem: *mut c_char,
    problem_size: usize,
) -> sparr_status {
    guarded(SPARR_PANIC, || {
        // SAFETY: NULL or valid, and nobody else has it.
        let (request, name, value) = unsafe { (request.as_mut(), text(name), text(value)) };
        let (status, said) = match (request, name, value) {
            (None, ..) => (SPARR_NULL_ARGUMENT, "request is NULL".to_owned()),
            (_, Err(status), _) | (.., Err(status)) => {
                (status, "name or value is NULL or not UTF-8".to_owned())
            }
            (Some(request), Ok(name), Ok(value)) => match request.0.set(name, value) {
                Ok(()) => (SPARR_OK, String::new()),
                Err(error) => (SPARR_INVALID_ARGUMENT, error.to_string()),
            },
        };
        // SAFETY: the caller says how long the buffer is.
        unsafe { write(&said, problem, problem_size) };
        status
    })
}

/// Gives a request back; NULL is nothing. Its personal values are overwritten.
///
/// # Safety
///
/// `request` is NULL, or from `sparr_request_new` and not given back yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_request_free(request: *mut sparr_request) {
    guarded((), || {
        if !request.is_null() {
            // SAFETY: it came from a box of this kind, and comes back once.
            drop(unsafe { Box::from_raw(request) });
        }
    });
}

/// Screens one request and waits, at most `deadline_us` microseconds (0: the client's timeout, which is never exceeded).
/// `*answer` is filled in whatever happens: where nobody decided, it has the fail policy's word.
///
/// # Safety
///
/// Pointers are NULL or valid; nobody changes the request meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_screen(
    client: *const sparr_client,
    request: *const sparr_request,
    deadline_us: u32,
    answer: *mut sparr_answer,
) -> sparr_status {
    let requests = [request];
    // SAFETY: one request, one answer.
    unsafe { sparr_screen_batch(client, requests.as_ptr(), 1, deadline_us, answer) }
}

/// Screens many requests at once: they travel together, and answers come in their order. As for one, every answer is
/// filled in; one whose request is NULL says `null_argument`.
///
/// # Safety
///
/// `requests` and `answers` are NULL or have `count` entries, of which requests are NULL or valid; nobody changes them
/// meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_screen_batch(
    client: *const sparr_client,
    requests: *const *const sparr_request,
    count: usize,
    deadline_us: u32,
    answers: *mut sparr_answer,
) -> sparr_status {
    if answers.is_null() {
        return SPARR_NULL_ARGUMENT;
    }
    for at in 0..count {
        // SAFETY: below `count`, and not yet anything that would have to be dropped.
        unsafe { answers.add(at).write(sparr_answer::none(c"null_argument", None)) };
    }
    let screened = guarded(Err(SPARR_PANIC), || {
        // SAFETY: NULL or valid.
        let Some(client) = (unsafe { client.as_ref() }) else { return Err(SPARR_NULL_ARGUMENT) };
        if requests.is_null() {
            return Err(SPARR_NULL_ARGUMENT);
        }
        let mut given = Vec::with_capacity(count);
        for at in 0..count {
            // SAFETY: below `count`, NULL or valid.
            let request = unsafe { (*requests.add(at)).as_ref() };
            given.extend(request.map(|request| (at, request.0.clone())));
        }
        let (places, given): (Vec<_>, Vec<_>) = given.into_iter().unzip();
        let whole = places.len() == count;
        Ok((places.into_iter().zip(client.0.screen(given, deadline_us)).collect::<Vec<_>>(), whole))
    });
    match screened {
        Err(SPARR_PANIC) => {
            for at in 0..count {
                // SAFETY: below `count`.
                unsafe { answers.add(at).write(sparr_answer::none(c"panic", None)) };
            }
            SPARR_PANIC
        }
        Err(status) => status,
        Ok((all, whole)) => {
            for (at, answer) in all {
                // SAFETY: below `count`.
                unsafe { answers.add(at).write(answer) };
            }
            if whole { SPARR_OK } else { SPARR_NULL_ARGUMENT }
        }
    }
}

/// The name of a reason in an answer, such as `velocity_card`, into a buffer. Asked for at the engine once, then known.
///
/// # Safety
///
/// Pointers are NULL or valid; `name` has `name_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_reason_name(
    client: *const sparr_client,
    reason: u16,
    name: *mut c_char,
    name_size: usize,
) -> sparr_status {
    guarded(SPARR_PANIC, || {
        // SAFETY: NULL or valid.
        let Some(client) = (unsafe { client.as_ref() }) else { return SPARR_NULL_ARGUMENT };
        if name.is_null() {
            return SPARR_NULL_ARGUMENT;
        }
        let Some(known) = client.0.reason_name(reason) else { return SPARR_UNKNOWN };
        // SAFETY: not NULL, and the caller says how long it is.
        if unsafe { write(&known, name, name_size) } { SPARR_OK } else { SPARR_BUFFER_TOO_SMALL }
    })
}

/// What a gateway sends for a number that somebody typed: writes it into `sent`, with an end; nothing where it sends nothing.
pub type sparr_as_sent = Option<
    unsafe extern "C" fn(context: *mut c_void, number: *const c_char, sent: *mut c_char, sent_size: usize),
>;

/// Longest number that [`sparr_check_identities`] takes, with its end.
const SENT_BYTES: usize = 64;

/// Has the engine name numbers as people write them, and asks it whether what `as_sent` makes of them arrives as those people.
/// `SPARR_OK`: all of them do. `SPARR_INVALID_ARGUMENT`: some do not, and `wrong` says which, a line for each. For gateways that
/// have just connected: one with wrong numbers does not find flags, and nothing else will tell it.
///
/// # Safety
///
/// Pointers are NULL or valid; `wrong` has `wrong_size` bytes. `as_sent` is called on the caller's thread, writes at most
/// `sent_size` bytes, and does not unwind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sparr_check_identities(
    client: *const sparr_client,
    as_sent: sparr_as_sent,
    context: *mut c_void,
    wrong: *mut c_char,
    wrong_size: usize,
) -> sparr_status {
    guarded(SPARR_PANIC, || {
        // SAFETY: NULL or valid.
        let (Some(client), Some(as_sent)) = (unsafe { client.as_ref() }, as_sent) else {
            return SPARR_NULL_ARGUMENT;
        };
        let sent = |number: &str| {
            let number = CString::new(number).unwrap_or_default();
            let mut bytes = [0u8; SENT_BYTES];
            // SAFETY: a C string, and a buffer of the length that is said; the last byte stays an end.
            unsafe { as_sent(context, number.as_ptr(), bytes.as_mut_ptr().cast(), SENT_BYTES - 1) };
            CStr::from_bytes_until_nul(&bytes)
                .map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
        };
        let Some(found) = client.0.check_identities(sent) else { return SPARR_UNREACHABLE };
        // SAFETY: as the caller promises.
        let told = unsafe { write(&found.join("\n"), wrong, wrong_size) };
        match (found.is_empty(), told || wrong.is_null()) {
            (true, _) => SPARR_OK,
            (false, true) => SPARR_INVALID_ARGUMENT,
            (false, false) => SPARR_BUFFER_TOO_SMALL,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_before_the_caller() {
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let ended = guarded(SPARR_PANIC, || -> sparr_status { panic!("on purpose") });
        std::panic::set_hook(quiet);
        assert_eq!(ended, SPARR_PANIC);
    }
}
