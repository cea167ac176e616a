/* A gateway in C. Requests come in on standard input, one a line: an id, a kind, and fields by name,
 *
 *     00000000000000000000000000000001 card_payment amount_minor=1000 currency=SEK card_token=tok-1
 *
 * and go to the engine together. Answers go out as JSON, one a line.
 *
 *     cc gateway.c -I protocol/c/include -L target/release -lsparr_client -o gateway
 *     ./gateway 127.0.0.1:7443 sparr-data/dev/gateway '*=decline' < requests.txt
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sparr_client.h"

#define REQUESTS_MAX 1024

static sparr_request *read_request(char *line, int number)
{
    char problem[128] = "";
    sparr_request *request = NULL;
    char *id = strtok(line, " \n"), *kind = strtok(NULL, " \n");
    if (sparr_request_new(id, kind, &request) != SPARR_OK) {
        fprintf(stderr, "line %d: an id of 32 hexadecimal digits and a kind are expected\n", number);
        return NULL;
    }
    for (char *field = strtok(NULL, " \n"); field != NULL; field = strtok(NULL, " \n")) {
        char *value = strchr(field, '=');
        if (value != NULL)
            *value++ = '\0';
        if (sparr_request_set(request, field, value, problem, sizeof problem) != SPARR_OK) {
            fprintf(stderr, "line %d: %s\n", number, problem);
            sparr_request_free(request);
            return NULL;
        }
    }
    return request;
}

/* What a payment's own code does with an answer: an outcome where there is one, the written policy where there is none. */
static void print_answer(const sparr_client *client, const sparr_answer *answer)
{
    printf("{\"request_id\":\"%s\"", answer->request_id);
    if (answer->outcome != NULL) {
        printf(",\"outcome\":\"%s\",\"review\":\"%s\",\"score\":%" PRId32 ",\"reasons\":[", answer->outcome,
               answer->review, answer->score);
        for (int at = 0; at < answer->reasons_len; at++) {
            char name[65] = "";
            if (sparr_reason_name(client, answer->reasons[at], name, sizeof name) != SPARR_OK)
                snprintf(name, sizeof name, "reason_%u", answer->reasons[at]);
            printf("%s\"%s\"", at == 0 ? "" : ",", name);
        }
        printf("],\"rule_set_digest\":\"%s\"", answer->rule_set_digest);
    } else {
        printf(",\"fallback\":\"%s\"", answer->fallback);
        if (answer->not_screened != NULL)
            printf(",\"not_screened\":\"%s\"", answer->not_screened);
        if (answer->field != NULL)
            printf(",\"field\":\"%s\"", answer->field);
        if (answer->error != NULL)
            printf(",\"error\":\"%s\"", answer->error);
        printf(",\"retryable\":%s", answer->retryable ? "true" : "false");
    }
    puts("}");
}

int main(int count, char **arguments)
{
    static sparr_request *requests[REQUESTS_MAX];
    static sparr_answer answers[REQUESTS_MAX];
    char problem[256] = "", line[4096];
    sparr_client *client = NULL;
    size_t asked = 0;
    int number = 0, failed = 0;

    if (count < 4) {
        fprintf(stderr, "usage: gateway HOST:PORT IDENTITY FAIL_POLICY [TIMEOUT_US [DEADLINE_US]]\n");
        return 2;
    }
    sparr_options options = {
        .connect = arguments[1],
        .engine_name = NULL,
        .identity = arguments[2],
        .fail_policy = arguments[3],
        .timeout_us = count > 4 ? (uint32_t)strtoul(arguments[4], NULL, 10) : 0,
    };
    if (sparr_client_new(&options, &client, problem, sizeof problem) != SPARR_OK) {
        fprintf(stderr, "gateway: %s\n", problem);
        return 2;
    }
    while (asked < REQUESTS_MAX && fgets(line, sizeof line, stdin) != NULL) {
        sparr_request *request = read_request(line, ++number);
        if (request == NULL)
            failed = 1;
        else
            requests[asked++] = request;
    }
    uint32_t deadline_us = count > 5 ? (uint32_t)strtoul(arguments[5], NULL, 10) : 0;
    sparr_screen_batch(client, (const sparr_request *const *)requests, asked, deadline_us, answers);
    for (size_t at = 0; at < asked; at++) {
        print_answer(client, &answers[at]);
        sparr_request_free(requests[at]);
    }
    sparr_client_free(client);
    return failed;
}
