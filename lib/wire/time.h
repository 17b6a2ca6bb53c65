/* SPDX-License-Identifier: Apache-2.0 */

/* Times and spans of messages, for those who have a default at hand. */

#ifndef SWKI_WIRE_TIME_H
#define SWKI_WIRE_TIME_H

#include "wire/message.h"

/* The span, or fallback if it is missing, negative or not valid. */
swk_time swki_duration_get(const Swkpb__Duration *duration, swk_time fallback);

/* 0 if it is missing or not valid. */
swk_wall swki_timestamp_get(const Swkpb__Timestamp *timestamp);

#endif
