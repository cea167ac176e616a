//! Every function takes NULL without harm, and says so.
#![expect(unsafe_code, reason = "the functions are for callers in C")]

use ::sparr_client::abi::*;
use ::sparr_client::answer::sparr_answer;
use ::sparr_client::options::sparr_options;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

/// A text of an answer; NULL where it has none.
fn said(text: *const std::ffi::c_char) -> Option<&'static str> {
    // SAFETY: texts of answers are NULL or static.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_str().expect("text"))
}

#[test]
fn null_is_an_answer_and_never_a_crash() {
    use sparr_status::*;
    let mut problem = [1; 40];
    // SAFETY: what is not NULL is valid, which is what this is about.
    unsafe {
        let mut client = std::ptr::dangling_mut::<sparr_client>();
        assert_eq!(
            sparr_client_new(null(), &raw mut client, problem.as_mut_ptr(), problem.len()),
            SPARR_NULL_ARGUMENT
        );
        assert!(client.is_null());
        assert_eq!(said(problem.as_ptr()), Some("no options"));
        assert_eq!(sparr_client_new(null(), null_mut(), null_mut(), 40), SPARR_NULL_ARGUMENT);
        let options = |identity, policy| sparr_options {
            connect: c"127.0.0.1:7443".as_ptr(),
            engine_name: null(),
            identity,
            fail_policy: policy,
            timeout_us: 0,
        };
        let missing = c"/nowhere".as_ptr();
        for (given, status, words) in [
            (options(null(), null()), SPARR_NULL_ARGUMENT, "identity is NULL or not UTF-8"),
            (options(c"\xff".as_ptr(), null()), SPARR_INVALID_ARGUMENT, "identity is NULL or not UTF-8"),
            // The buffer has 40 bytes: what fits is there, with an end.
            (options(missing, null()), SPARR_IDENTITY, "/nowhere/cert.pem: I/O error: No such f"),
        ] {
            assert_eq!(sparr_client_new(&raw const given, &raw mut client, problem.as_mut_ptr(), 40), status);
            assert!(client.is_null());
            assert_eq!(said(problem.as_ptr()), Some(words));
        }
        sparr_client_free(null_mut());
        sparr_request_free(null_mut());
        assert_eq!(sparr_client_connect(null()), SPARR_NULL_ARGUMENT);
        assert_eq!(sparr_reason_name(null(), 1, problem.as_mut_ptr(), 40), SPARR_NULL_ARGUMENT);

        let id = c"00000000000000000000000000000001".as_ptr();
        let mut request = null_mut();
        for (id, kind, status) in [
            (null(), c"invoice".as_ptr(), SPARR_NULL_ARGUMENT),
            (id, null(), SPARR_NULL_ARGUMENT),
            (id, c"cheque".as_ptr(), SPARR_INVALID_ARGUMENT),
            (c"1".as_ptr(), c"invoice".as_ptr(), SPARR_INVALID_ARGUMENT),
        ] {
            assert_eq!(sparr_request_new(id, kind, &raw mut request), status);
            assert!(request.is_null());
        }
        assert_eq!(sparr_request_new(id, c"invoice".as_ptr(), null_mut()), SPARR_NULL_ARGUMENT);
        assert_eq!(sparr_request_new(id, c"invoice".as_ptr(), &raw mut request), SPARR_OK);
        for (request, name, value, status) in [
            (null_mut(), c"currency".as_ptr(), c"SEK".as_ptr(), SPARR_NULL_ARGUMENT),
            (request, null(), c"SEK".as_ptr(), SPARR_NULL_ARGUMENT),
            (request, c"currency".as_ptr(), null(), SPARR_NULL_ARGUMENT),
            (request, c"currency".as_ptr(), c"KRONOR".as_ptr(), SPARR_INVALID_ARGUMENT),
            (request, c"currency".as_ptr(), c"SEK".as_ptr(), SPARR_OK),
        ] {
            assert_eq!(sparr_request_set(request, name, value, null_mut(), 0), status);
        }

        // Without a client nobody decides: the answer says so, and nothing in it lets a payment pass.
        let mut answer = MaybeUninit::<sparr_answer>::uninit();
        assert_eq!(sparr_screen(null(), request, 0, answer.as_mut_ptr()), SPARR_NULL_ARGUMENT);
        let answer = answer.assume_init();
        assert_eq!((said(answer.outcome), said(answer.fallback)), (None, Some("decline")));
        assert_eq!(said(answer.error), Some("null_argument"));
        assert_eq!(sparr_screen(null(), request, 0, null_mut()), SPARR_NULL_ARGUMENT);
        assert_eq!(sparr_screen_batch(null(), null(), 0, 0, null_mut()), SPARR_NULL_ARGUMENT);
        sparr_request_free(request);
    }
}
