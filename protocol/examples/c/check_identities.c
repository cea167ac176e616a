/* Asks an engine whether people's numbers arrive as the people whom they name, before a gateway screens anybody.
 *
 *     check_identities HOST:PORT IDENTITY
 *
 * A gateway that keeps numbers as integers, or strips their signs, does not find flags, and nothing else will tell it. Put what
 * yours makes of a customer's number in the place of `as_sent`. Ends with 0 where every number is right, else with 1.
 */
#include "sparr_client.h"

#include <stdio.h>
#include <string.h>

/* What this gateway sends for a number that somebody typed. With a context: one that keeps digits alone, to see it fail. */
static void as_sent(void *context, const char *number, char *sent, size_t sent_size)
{
    size_t at = 0;

    for (; *number != '\0' && at + 1 < sent_size; number++)
        if (context == NULL || strchr("0123456789", *number) != NULL)
            sent[at++] = *number;
    sent[at] = '\0';
}

int main(int count, char **arguments)
{
    char problem[256] = "", wrong[1024] = "";
    sparr_client *client = NULL;

    if (count < 3) {
        fprintf(stderr, "usage: check_identities HOST:PORT IDENTITY [digits]\n");
        return 2;
    }
    sparr_options options = {
        .connect = arguments[1],
        .engine_name = NULL,
        .identity = arguments[2],
        .fail_policy = "*=hold",
        .timeout_us = 2000000,
    };
    if (sparr_client_new(&options, &client, problem, sizeof problem) != SPARR_OK) {
        fprintf(stderr, "check_identities: %s\n", problem);
        return 2;
    }
    sparr_status status = sparr_check_identities(client, as_sent, count > 3 ? arguments[3] : NULL, wrong, sizeof wrong);
    if (status == SPARR_OK)
        puts("every number arrives as the person whom it names");
    else if (status == SPARR_INVALID_ARGUMENT)
        fprintf(stderr, "%s\n", wrong);
    else
        fprintf(stderr, "check_identities: no answer (%d)\n", (int)status);
    sparr_client_free(client);
    return status == SPARR_OK ? 0 : 1;
}
