/* sparr: the gateway client. SPDX-License-Identifier: Apache-2.0
 *
 * Blocking calls, safe from many threads at once. Every function takes NULL without harm and never unwinds into its
 * caller. What a function hands out with `_new` is given back with `_free`, once, when no call uses it any more; every
 * `const char *` in an answer is static: never freed, always valid. Nothing that is passed in is kept: it may go as soon
 * as the call returns. Made from protocol/c/src by cbindgen: do not edit. */

#ifndef SPARR_CLIENT_H
#define SPARR_CLIENT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Reasons in an answer at most.
#define SPARR_REASONS_MAX 8

// What became of a call.
typedef enum sparr_status {
  // It did what it was asked for. Of a screening: every answer is filled in, whatever it says.
  SPARR_OK = 0,
  // An argument is NULL that must not be.
  SPARR_NULL_ARGUMENT = 1,
  // An argument is not UTF-8, or not a value of its kind.
  SPARR_INVALID_ARGUMENT = 2,
  // Certificate, key or authority cannot be read.
  SPARR_IDENTITY = 3,
  // The fail policy does not say something about every kind of request.
  SPARR_FAIL_POLICY = 4,
  // The engine does not answer, or does not let this client in.
  SPARR_UNREACHABLE = 5,
  // A reason has no name at the engine.
  SPARR_UNKNOWN = 6,
  // The buffer is too small; it holds what fits.
  SPARR_BUFFER_TOO_SMALL = 7,
  // An error in the client itself. Screenings say `decline`.
  SPARR_PANIC = 8,
} sparr_status;

// A client of one engine. From `sparr_client_new`, until `sparr_client_free`.
typedef struct sparr_client sparr_client;

// A request that is being put together. From `sparr_request_new`, until `sparr_request_free`.
typedef struct sparr_request sparr_request;

// How a client connects.
typedef struct sparr_options {
  // Address of the engine, `host:port`.
  const char *connect;
  // Name that the engine's certificate must carry; NULL: the address without its port.
  const char *engine_name;
  // Folder with cert.pem, key.pem and ca.pem.
  const char *identity;
  // What to do with a request of each kind that was not screened: `card_payment=decline,invoice=hold,…`, with one of
  // approve, challenge, hold and decline. `*=decline` is for every kind that is not named. There is no default.
  const char *fail_policy;
  // Longest wait for an answer, microseconds; 0: 250 ms.
  uint32_t timeout_us;
} sparr_options;

// An answer to one request. Where the engine decided, `outcome` and `review` are texts and `fallback` is NULL; where it
// did not, it is the other way round, and `fallback` is what the caller's own policy says, or `decline` where not even a request
// was there. One of the two is always there, once a call has been made.
typedef struct sparr_answer {
  // 32 hexadecimal digits and an end; empty where there was no request.
  char request_id[33];
  // `approve`, `challenge` or `decline`; NULL where the engine did not decide. Approve means "no objection".
  const char *outcome;
  // `none`, `after` or `hold`, beside the outcome; NULL where the engine did not decide.
  const char *review;
  // What to do where the engine did not decide: `approve`, `challenge`, `hold` or `decline`; NULL where it did.
  const char *fallback;
  // Why the engine did not decide, such as `identity_malformed`; NULL where it did or did not answer.
  const char *not_screened;
  // Why there was no answer: `timeout`, `unreachable`, `refused`, `connection_lost`, `too_large`, `id_twice`,
  // `too_many`, `unreadable`, `closed`, `null_argument` or `panic`; NULL where there was one.
  const char *error;
  // The field at fault, such as `subject`; NULL where none is.
  const char *field;
  // Until when a hold is asked for, milliseconds since 1970; 0 where nothing was said.
  int64_t hold_until_ms;
  // Which state the answer was made on: how many records the engine had applied.
  uint64_t position_index;
  // Which life of the engine.
  uint32_t position_epoch;
  // Sum of the scores of the rules that hit.
  int32_t score;
  // In which ways the answer is worth less than usual: the bits of `degraded` in WIRE.md.
  uint32_t degraded;
  // Age of the exchange state behind the answer, milliseconds.
  uint32_t staleness_ms;
  // When another try makes sense, milliseconds; 0 where nothing was said.
  uint32_t retry_after_ms;
  // Microseconds that the engine took.
  uint32_t engine_us;
  // Numbers of the reasons, first by precedence: `sparr_reason_name` has their names.
  uint16_t reasons[SPARR_REASONS_MAX];
  // How many there are.
  uint8_t reasons_len;
  // 1 where the same request may be sent again with the same id, 0 where it makes no sense.
  uint8_t retryable;
  // Which engine of the member.
  uint16_t position_engine;
  // Digest of the rule set that decided: 32 hexadecimal digits and an end.
  char rule_set_digest[33];
} sparr_answer;

// What a gateway sends for a number that somebody typed: writes it into `sent`, with an end; nothing where it sends nothing.
typedef void (*sparr_as_sent)(void *context, const char *number, char *sent, size_t sent_size);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes a client. It connects at its first call, and again whenever the connection is lost.
//
// Where it cannot be made, `*client` is NULL and `problem`, where it is not NULL, says why in words.
//
// # Safety
//
// Pointers are NULL or valid; `problem` has `problem_size` bytes.
enum sparr_status sparr_client_new(const struct sparr_options *options,
                                   struct sparr_client **client,
                                   char *problem,
                                   size_t problem_size);

// Gives a client back; NULL is nothing. No other call may use it any more.
//
// # Safety
//
// `client` is NULL, or from `sparr_client_new` and not given back yet.
void sparr_client_free(struct sparr_client *client);

// Connects now, so that the first call does not pay for it, and a wrong certificate is told early.
//
// # Safety
//
// `client` is NULL or valid.
enum sparr_status sparr_client_connect(const struct sparr_client *client);

// Begins a request: its id, 32 hexadecimal digits or a UUID, and its kind, such as `card_payment`. The same id asked
// again is the same question: it is answered alike and counted once.
//
// # Safety
//
// Pointers are NULL or valid, texts end.
enum sparr_status sparr_request_new(const char *request_id,
                                    const char *kind,
                                    struct sparr_request **request);

// Sets a field by its name, as in JSON: `amount_minor`, `currency`, `subject`, `auth.method` … What is wrong is said in
// `problem`, where it is not NULL; the value is not repeated.
//
// # Safety
//
// Pointers are NULL or valid, texts end; no other call uses the request; `problem` has `problem_size` bytes.
enum sparr_status sparr_request_set(struct sparr_request *request,
                                    const char *name,
                                    const char *value,
                                    char *problem,
                                    size_t problem_size);

// Gives a request back; NULL is nothing. Its personal values are overwritten.
//
// # Safety
//
// `request` is NULL, or from `sparr_request_new` and not given back yet.
void sparr_request_free(struct sparr_request *request);

// Screens one request and waits, at most `deadline_us` microseconds (0: the client's timeout, which is never exceeded).
// `*answer` is filled in whatever happens: where nobody decided, it has the fail policy's word.
//
// # Safety
//
// Pointers are NULL or valid; nobody changes the request meanwhile.
enum sparr_status sparr_screen(const struct sparr_client *client,
                               const struct sparr_request *request,
                               uint32_t deadline_us,
                               struct sparr_answer *answer);

// Screens many requests at once: they travel together, and answers come in their order. As for one, every answer is
// filled in; one whose request is NULL says `null_argument`.
//
// # Safety
//
// `requests` and `answers` are NULL or have `count` entries, of which requests are NULL or valid; nobody changes them
// meanwhile.
enum sparr_status sparr_screen_batch(const struct sparr_client *client,
                                     const struct sparr_request *const *requests,
                                     size_t count,
                                     uint32_t deadline_us,
                                     struct sparr_answer *answers);

// The name of a reason in an answer, such as `velocity_card`, into a buffer. Asked for at the engine once, then known.
//
// # Safety
//
// Pointers are NULL or valid; `name` has `name_size` bytes.
enum sparr_status sparr_reason_name(const struct sparr_client *client,
                                    uint16_t reason,
                                    char *name,
                                    size_t name_size);

// Has the engine name numbers as people write them, and asks it whether what `as_sent` makes of them arrives as those people.
// `SPARR_OK`: all of them do. `SPARR_INVALID_ARGUMENT`: some do not, and `wrong` says which, a line for each. For gateways that
// have just connected: one with wrong numbers does not find flags, and nothing else will tell it.
//
// # Safety
//
// Pointers are NULL or valid; `wrong` has `wrong_size` bytes. `as_sent` is called on the caller's thread, writes at most
// `sent_size` bytes, and does not unwind.
enum sparr_status sparr_check_identities(const struct sparr_client *client,
                                         sparr_as_sent as_sent,
                                         void *context,
                                         char *wrong,
                                         size_t wrong_size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SPARR_CLIENT_H */
