/* SPDX-License-Identifier: Apache-2.0 */

/* What a node says of a clock that is wrong, while it renews certificates. */

#include "base/log.h"
#include "crypto/x509.h"
#include "node/identity/renewal_impl.h"

/* Waiting for a certificate, and the rounding of its dates, explain no more. */
#define AGE_MIN (2 * SWKI_RENEWAL_PATIENCE)

/* A certificate that was issued just now cannot be old. By how much it seems to
 * be is known roughly at least: CAs date certificates back. */
static void tell_age(const struct swki_renewal *r, swk_wall issued)
{
    const struct swki_clock_skew *skew = &r->attempt.skew;
    swk_wall wall = swki_renewal_wall(r);
    char issued_text[SWKI_CLOCK_TIME_TEXT_SIZE];
    char wall_text[SWKI_CLOCK_TIME_TEXT_SIZE];
    char span[SWKI_CLOCK_SPAN_TEXT_SIZE];

    swki_clock_time_text(issued, issued_text);
    swki_clock_time_text(wall, wall_text);
    swki_clock_span_text((swk_time)(wall - issued), span);
    swki_log(r->config.asker.logger, SWK_LOG_WARN, "node",
             "the new certificate is of %s by the CA's clock, and this "
             "machine's clock says %s: %s %s %s, set it right (timedatectl)",
             issued_text, wall_text,
             skew->measured ? "as managers have that time, too, the CA's is"
                            : "most likely this machine's is",
             span, skew->measured ? "behind" : "ahead");
}

void swki_renewal_tell_clock(const struct swki_renewal *r,
                             const struct swki_renewer_certificate *validity)
{
    swk_wall issued = validity->not_before + (swk_wall)SWKI_LEAF_BACKDATE;
    swk_wall wall = swki_renewal_wall(r);
    swk_wall half =
        validity->not_before + (validity->not_after - validity->not_before) / 2;
    char text[SWKI_CLOCK_SKEW_TEXT_SIZE];

    if (swki_clock_skew_matters(&r->attempt.skew)) {
        swki_clock_skew_text(&r->attempt.skew, text);
        swki_log(r->config.asker.logger, SWK_LOG_WARN, "node", "%s", text);
    } else if (validity->fresh && wall > half &&
               wall - issued > (swk_wall)AGE_MIN) {
        tell_age(r, issued);
    }
}

static const char *validity_word(const struct swki_renewal *r)
{
    const struct swki_identity *own = &r->config.credentials->identity;
    swk_wall wall = swki_renewal_wall(r);

    if (wall < own->not_before) {
        return "is not valid yet";
    }
    return wall > own->not_after ? "has ended" : NULL;
}

void swki_renewal_tell_jump(struct swki_renewal *r)
{
    swk_wall jump = swki_renewer_take_jump(&r->renewer);
    const char *validity = validity_word(r);
    char span[SWKI_CLOCK_SPAN_TEXT_SIZE];

    if (jump == 0) {
        return;
    }
    swki_clock_span_text((swk_time)(jump < 0 ? -jump : jump), span);
    swki_log(r->config.asker.logger,
             validity != NULL ? SWK_LOG_WARN : SWK_LOG_INFO, "node",
             "this machine's clock went %s by %s at once%s%s%s%s",
             jump < 0 ? "back" : "ahead", span,
             jump < 0 ? "" : ", or the machine slept",
             validity != NULL ? "; by that time this node's certificate " : "",
             validity != NULL ? validity : "",
             validity != NULL ? ": is the clock right (timedatectl)?" : "");
}
