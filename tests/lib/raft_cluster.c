/* SPDX-License-Identifier: Apache-2.0 */

#include "lib/raft_cluster.h"

#include "lib/cmocka_all.h"

#include <stdlib.h>

enum {
    TURNS_MAX = 100000, /* of all members without time passing */
    ELECTION_TICKS_MAX = 200,
};

static void *make(size_t size)
{
    void *made = calloc(1, size);

    assert_non_null(made);
    return made;
}

static struct swk_log_entry copy_entry(const struct swk_log_entry *entry)
{
    struct swk_log_entry copy = *entry;

    copy.data = NULL;
    if (entry->data_len > 0) {
        uint8_t *data = make(entry->data_len);

        memcpy(data, entry->data, entry->data_len);
        copy.data = data;
    }
    return copy;
}

/* Whether a call is to be made again: memory was short, and is not now. */
static bool again(const struct cluster_member *m, int rc)
{
    return rc == SWK_ENOMEM && m->cluster->patient;
}

/* -- Snapshots ------------------------------------------------------------- */

static const uint64_t *copy_ids(struct cluster_snapshot *out, size_t *used,
                                const uint64_t *ids, size_t count)
{
    uint64_t *at = out->ids + *used;

    assert_true(*used + count <= CLUSTER_IDS_MAX);
    if (count == 0) {
        return NULL;
    }
    memcpy(at, ids, count * sizeof(ids[0]));
    *used += count;
    return at;
}

static void copy_snapshot(struct cluster_snapshot *out,
                          const struct swk_snapshot_meta *meta, uint64_t sum)
{
    const struct swk_conf_state *from = &meta->conf_state;
    struct swk_conf_state *to = &out->meta.conf_state;
    size_t used = 0;

    assert_ptr_not_equal(meta, &out->meta);
    out->meta = *meta;
    out->sum = sum;
    to->voters = copy_ids(out, &used, from->voters, from->voters_count);
    to->learners = copy_ids(out, &used, from->learners, from->learners_count);
    to->voters_outgoing = copy_ids(out, &used, from->voters_outgoing,
                                   from->voters_outgoing_count);
    to->learners_next =
        copy_ids(out, &used, from->learners_next, from->learners_next_count);
}

static struct cluster_snapshot *
clone_snapshot(const struct cluster_snapshot *snapshot)
{
    struct cluster_snapshot *clone = make(sizeof(*clone));

    copy_snapshot(clone, &snapshot->meta, snapshot->sum);
    return clone;
}

/* -- Disks ----------------------------------------------------------------- */

static struct cluster_write *add_write(struct cluster_disk *disk,
                                       uint64_t ticket)
{
    struct cluster_write *write = make(sizeof(*write));
    struct cluster_write **end = &disk->writes;

    while (*end != NULL) {
        assert_true((*end)->ticket < ticket);
        end = &(*end)->next;
    }
    *end = write;
    write->ticket = ticket;
    return write;
}

static void free_write(struct cluster_write *write)
{
    for (size_t i = 0; i < write->entries_count; i++) {
        free((void *)write->entries[i].data);
    }
    free(write->entries);
    free(write->snapshot);
    free(write);
}

static void append(struct cluster_disk *disk,
                   const struct swk_raft_actions *actions)
{
    struct cluster_write *write = add_write(disk, actions->persist_ticket);

    write->has_state = actions->hard_state != NULL;
    if (write->has_state) {
        write->state = *actions->hard_state;
    }
    write->entries_count = actions->entries_count;
    write->entries = make((actions->entries_count + 1) *
                          sizeof(write->entries[0]));
    for (size_t i = 0; i < actions->entries_count; i++) {
        write->entries[i] = copy_entry(&actions->entries[i]);
    }
}

static void truncate_disk(struct cluster_disk *disk, uint64_t last)
{
    for (; disk->last > last; disk->last--) {
        free((void *)disk->entries[disk->last].data);
        disk->entries[disk->last] = (struct swk_log_entry){0};
    }
}

static void put_entries(struct cluster_disk *disk, struct cluster_write *write)
{
    for (size_t i = 0; i < write->entries_count; i++) {
        struct swk_log_entry *entry = &write->entries[i];

        assert_in_range(entry->index, disk->snapshot.meta.index + 1,
                        disk->last + 1);
        assert_true(entry->index < CLUSTER_INDEX_MAX);
        truncate_disk(disk, entry->index - 1);
        disk->entries[entry->index] = *entry;
        disk->last = entry->index;
        entry->data = NULL; /* moved */
    }
    disk->appends++;
}

static void put_snapshot(struct cluster_disk *disk,
                         const struct cluster_write *write)
{
    const struct cluster_snapshot *snapshot = write->snapshot;

    if (write->install) {
        truncate_disk(disk, 0);
        disk->last = snapshot->meta.index;
    }
    assert_true(snapshot->meta.index <= disk->last);
    copy_snapshot(&disk->snapshot, &snapshot->meta, snapshot->sum);
}

static void restore_state(struct cluster_member *m,
                          const struct cluster_snapshot *snapshot)
{
    m->applied = snapshot->meta.index;
    m->sum = snapshot->sum;
    assert_int_equal(m->cluster->sums[m->applied], m->sum);
}

bool cluster_sync(struct cluster_member *m)
{
    struct cluster_disk *disk = &m->disk;
    struct cluster_write *write = disk->writes;

    if (write == NULL || m->raft == NULL) {
        return false;
    }
    while (write != NULL) {
        uint64_t ticket = write->ticket;

        disk->writes = write->next;
        if (write->snapshot != NULL) {
            put_snapshot(disk, write);
        } else {
            put_entries(disk, write);
        }
        if (write->has_state) {
            disk->has_state = true;
            disk->state = write->state;
        }
        if (write->install) {
            restore_state(m, write->snapshot);
            m->installed++;
        }
        free_write(write);
        assert_int_equal(swk_raft_persisted(m->raft, ticket, NULL), 0);
        write = disk->writes;
    }
    return true;
}

static void drop_writes(struct cluster_disk *disk)
{
    while (disk->writes != NULL) {
        struct cluster_write *next = disk->writes->next;

        free_write(disk->writes);
        disk->writes = next;
    }
}

/* -- The network ----------------------------------------------------------- */

static void send_message(struct cluster_member *m,
                         const struct swk_raft_message *message)
{
    struct cluster *c = m->cluster;
    size_t len = swk_raft_message_size(message);
    struct cluster_packet *packet = make(sizeof(*packet) + len);

    assert_int_equal(message->from, m->id);
    packet->from = m->id;
    packet->to = message->to;
    packet->len = len;
    assert_int_equal(swk_raft_message_encode(message, packet->bytes), len);
    if (message->type == SWK_RAFT_MSG_SNAP) {
        assert_int_equal(message->snapshot->index, m->disk.snapshot.meta.index);
        packet->snapshot = clone_snapshot(&m->disk.snapshot);
        c->snapshots_sent++;
    }
    *c->packets_end = packet;
    c->packets_end = &packet->next;
    c->packets_count++;
}

static void report(struct cluster_member *from,
                   const struct cluster_packet *packet, bool arrived)
{
    if (from->raft == NULL) {
        return;
    }
    if (packet->snapshot != NULL) {
        swk_raft_report_snapshot(from->raft, packet->to, arrived);
    } else if (!arrived) {
        swk_raft_report_unreachable(from->raft, packet->to);
    }
}

static void arrive(struct cluster *c, const struct cluster_packet *packet)
{
    struct cluster_member *to = &c->members[packet->to];
    struct swk_raft_message message;
    bool arrives = !c->cut[packet->from][packet->to] && to->raft != NULL &&
                   to->failure == 0 &&
                   (packet->snapshot == NULL || !c->drop_snapshots);

    if (arrives) {
        assert_int_equal(swk_raft_message_decode(c->decoder, packet->bytes,
                                                 packet->len, &message, NULL),
                         0);
        if (packet->snapshot != NULL) {
            copy_snapshot(&to->incoming, &packet->snapshot->meta,
                          packet->snapshot->sum);
        }
        assert_int_equal(swk_raft_step(to->raft, &message, NULL), 0);
    }
    report(&c->members[packet->from], packet, arrives);
}

static bool deliver(struct cluster *c)
{
    struct cluster_packet *packet = c->packets;

    if (packet == NULL) {
        return false;
    }
    c->packets = packet->next;
    if (c->packets == NULL) {
        c->packets_end = &c->packets;
    }
    arrive(c, packet);
    free(packet->snapshot);
    free(packet);
    return true;
}

/* -- Members --------------------------------------------------------------- */

static uint64_t add_to_sum(uint64_t sum, const struct swk_log_entry *entry)
{
    sum = (sum ^ entry->index ^ entry->term << 32) * 0x100000001b3;
    for (size_t i = 0; i < entry->data_len; i++) {
        sum = (sum ^ entry->data[i]) * 0x100000001b3;
    }
    return sum | 1; /* never that of an index nobody applied */
}

static void apply(struct cluster_member *m, const struct swk_log_entry *entry)
{
    uint64_t *sum = &m->cluster->sums[entry->index];

    assert_int_equal(entry->index, m->applied + 1);
    assert_true(entry->index < CLUSTER_INDEX_MAX);
    if (entry->type != SWK_RAFT_ENTRY_NORMAL) {
        int rc;

        do {
            rc = swk_raft_apply_conf_change(m->raft, entry, 0, NULL);
        } while (again(m, rc));
        assert_int_equal(rc, 0);
    }
    m->applied = entry->index;
    m->sum = add_to_sum(m->sum, entry);
    if (*sum != 0) {
        assert_int_equal(*sum, m->sum); /* state machine safety */
    }
    *sum = m->sum;
}

static void take_reads(struct cluster_member *m,
                       const struct swk_raft_actions *actions)
{
    for (size_t i = 0; i < actions->reads_count; i++) {
        const struct swk_raft_read *read = &actions->reads[i];

        assert_in_range(read->context_len, 1, sizeof(m->read_context));
        m->reads++;
        m->read_index = read->index;
        m->read_context_len = read->context_len;
        memcpy(m->read_context, read->context, read->context_len);
    }
}

static void begin_writes(struct cluster_member *m,
                         const struct swk_raft_actions *actions)
{
    if (actions->install != NULL) {
        struct cluster_write *write =
            add_write(&m->disk, actions->install_ticket);

        assert_int_equal(actions->install->index, m->incoming.meta.index);
        write->install = true;
        write->snapshot = clone_snapshot(&m->incoming);
    }
    if (actions->persist_ticket != 0) {
        append(&m->disk, actions);
    } else {
        assert_int_equal(actions->entries_count, 0);
        assert_null(actions->hard_state);
    }
}

/* The snapshot that is wanted, of the state as it is now; or NULL. */
static struct cluster_snapshot *begin_snapshot(struct cluster_member *m,
                                               uint64_t wanted)
{
    struct cluster_snapshot *snapshot;
    struct swk_snapshot_meta meta;
    int rc;

    if (wanted == 0) {
        return NULL;
    }
    do {
        rc = swk_raft_begin_snapshot(m->raft, &meta, NULL);
    } while (again(m, rc));
    assert_int_equal(rc, 0);
    assert_int_equal(meta.index, wanted);
    assert_int_equal(m->applied, wanted);
    snapshot = make(sizeof(*snapshot));
    copy_snapshot(snapshot, &meta, m->sum);
    return snapshot;
}

static void finish_snapshot(struct cluster_member *m,
                            struct cluster_snapshot *snapshot)
{
    uint64_t ticket;
    int rc;

    do {
        rc = swk_raft_finish_snapshot(m->raft, &ticket, NULL);
    } while (again(m, rc));
    assert_int_equal(rc, 0);
    add_write(&m->disk, ticket)->snapshot = snapshot;
}

static void note_leadership(struct cluster_member *m, bool gained, bool lost)
{
    if (lost) {
        assert_true(m->leads);
        m->leads = false;
        m->lost++;
    }
    if (gained) {
        assert_false(m->leads);
        m->leads = true;
        m->gained++;
    }
}

bool cluster_turn(struct cluster_member *m)
{
    const struct swk_raft_actions *a = swk_raft_take_actions(m->raft);
    bool gained = a->leadership_gained != 0;
    bool due = a->install != NULL || a->persist_ticket != 0 ||
               a->messages_count > 0 || a->leadership_lost != 0 ||
               a->failure != 0 || a->snapshot_wanted != 0 ||
               a->committed_count > 0 || a->reads_count > 0 || gained;
    bool applies = a->committed_count > 0;
    struct cluster_snapshot *snapshot;

    begin_writes(m, a);
    for (size_t i = 0; i < a->messages_count; i++) {
        send_message(m, &a->messages[i]);
    }
    note_leadership(m, false, a->leadership_lost != 0);
    if (a->failure != 0) {
        m->failure = a->failure;
        m->failures++;
    }
    snapshot = begin_snapshot(m, a->snapshot_wanted);
    for (size_t i = 0; i < a->committed_count; i++) {
        apply(m, &a->committed[i]);
    }
    take_reads(m, a);
    if (applies) {
        int rc;

        do {
            rc = swk_raft_applied(m->raft, m->applied, NULL);
        } while (again(m, rc));
        assert_int_equal(rc, 0);
    }
    if (snapshot != NULL) {
        finish_snapshot(m, snapshot);
    }
    note_leadership(m, gained, false);
    return due;
}

static bool expire(struct cluster_member *m)
{
    if (swk_raft_deadline(m->raft) > m->cluster->now) {
        return false;
    }
    assert_int_equal(swk_raft_expire(m->raft, m->cluster->now, NULL), 0);
    return true;
}

/* -- The group ------------------------------------------------------------- */

void cluster_settle(struct cluster *c)
{
    bool busy = true;

    for (int turns = 0; busy; turns++) {
        assert_true(turns < TURNS_MAX);
        busy = false;
        for (uint64_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
            struct cluster_member *m = &c->members[id];

            if (m->raft == NULL) {
                continue;
            }
            busy |= expire(m);
            busy |= cluster_turn(m);
            busy |= !m->disk.held && cluster_sync(m);
        }
        busy |= deliver(c);
    }
}

void cluster_run(struct cluster *c, unsigned ticks)
{
    cluster_settle(c);
    for (unsigned i = 0; i < ticks; i++) {
        c->now += CLUSTER_TICK_MS * SWK_MILLISECOND;
        cluster_settle(c);
    }
}

struct cluster_member *cluster_leader(struct cluster *c)
{
    struct cluster_member *found = NULL;

    for (uint64_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
        struct cluster_member *m = &c->members[id];

        if (m->raft == NULL || !m->leads || c->cut[id][id]) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = m;
    }
    return found;
}

struct cluster_member *cluster_elect(struct cluster *c)
{
    for (int i = 0; i < ELECTION_TICKS_MAX; i++) {
        struct cluster_member *leader;

        cluster_run(c, 1);
        leader = cluster_leader(c);
        if (leader != NULL) {
            return leader;
        }
    }
    fail_msg("no leader");
    return NULL;
}

struct cluster *cluster_new(void)
{
    struct cluster *c = make(sizeof(*c));

    c->now = SWK_SECOND;
    c->packets_end = &c->packets;
    assert_int_equal(swk_raft_decoder_new(NULL, &c->decoder), 0);
    for (uint64_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
        c->members[id].id = id;
        c->members[id].cluster = c;
        c->members[id].disk.entries =
            make(CLUSTER_INDEX_MAX * sizeof(struct swk_log_entry));
    }
    return c;
}

void cluster_free(struct cluster *c)
{
    if (c == NULL) {
        return;
    }
    for (uint64_t id = 1; id <= CLUSTER_MEMBERS_MAX; id++) {
        struct cluster_disk *disk = &c->members[id].disk;

        swk_raft_free(c->members[id].raft);
        drop_writes(disk);
        truncate_disk(disk, 0);
        free(disk->entries);
    }
    while (c->packets != NULL) {
        struct cluster_packet *next = c->packets->next;

        free(c->packets->snapshot);
        free(c->packets);
        c->packets = next;
    }
    swk_raft_decoder_free(c->decoder);
    free(c);
}

static int restore(struct cluster_member *m)
{
    struct cluster_disk *disk = &m->disk;
    int rc = 0;

    m->applied = disk->snapshot.meta.index;
    m->sum = disk->snapshot.sum;
    if (m->applied != 0) {
        rc = swk_raft_restore_snapshot(m->raft, &disk->snapshot.meta, NULL);
    }
    if (rc == 0 && disk->has_state) {
        rc = swk_raft_restore_hard_state(m->raft, &disk->state, NULL);
    }
    for (uint64_t i = m->applied + 1; rc == 0 && i <= disk->last; i++) {
        rc = swk_raft_restore_entry(m->raft, &disk->entries[i], NULL);
    }
    return rc;
}

static int found_group(struct cluster_member *m, uint64_t founders)
{
    struct swk_raft_conf_change members[CLUSTER_MEMBERS_MAX];
    struct swk_raft_change changes[CLUSTER_MEMBERS_MAX];

    for (uint64_t i = 0; i < founders; i++) {
        changes[i] = (struct swk_raft_change){.type = SWK_RAFT_ADD_VOTER,
                                              .id = i + 1};
        members[i] = (struct swk_raft_conf_change){.size = sizeof(members[i]),
                                                   .changes = &changes[i],
                                                   .changes_count = 1};
    }
    return swk_raft_bootstrap(m->raft, members, founders, NULL);
}

static int start(struct cluster_member *m, uint64_t founders)
{
    int rc = swk_raft_new(&m->config, &m->raft, NULL);

    if (rc == 0) {
        rc = founders > 0 ? found_group(m, founders) : restore(m);
    }
    if (rc == 0) {
        rc = swk_raft_start(m->raft, m->cluster->now, NULL);
    }
    if (again(m, rc)) {
        swk_raft_free(m->raft);
        m->raft = NULL;
    }
    return rc;
}

int cluster_start(struct cluster *c, uint64_t id, uint64_t founders)
{
    struct cluster_member *m = &c->members[id];
    int rc;

    assert_null(m->raft);
    m->leads = false;
    m->failure = 0;
    m->config = (struct swk_raft_config){
        .size = sizeof(m->config),
        .id = id,
        .seed = id * 7919,
        .tick_ns = CLUSTER_TICK_MS * SWK_MILLISECOND,
    };
    if (c->configure != NULL) {
        c->configure(&m->config, c->configure_ctx);
    }
    do {
        rc = start(m, founders);
    } while (again(m, rc));
    return rc;
}

struct cluster_member *cluster_found(struct cluster *c, uint64_t count)
{
    for (uint64_t id = 1; id <= count; id++) {
        assert_int_equal(cluster_start(c, id, count), 0);
    }
    return cluster_elect(c);
}

void cluster_crash(struct cluster *c, uint64_t id)
{
    struct cluster_member *m = &c->members[id];

    swk_raft_free(m->raft);
    m->raft = NULL;
    m->leads = false;
    drop_writes(&m->disk);
}

void cluster_isolate(struct cluster *c, uint64_t id)
{
    for (uint64_t other = 1; other <= CLUSTER_MEMBERS_MAX; other++) {
        c->cut[id][other] = true;
        c->cut[other][id] = true;
    }
}

void cluster_mend(struct cluster *c)
{
    memset(c->cut, 0, sizeof(c->cut));
}

int cluster_propose(struct cluster_member *m, const char *text)
{
    int rc;

    do {
        rc = swk_raft_propose(m->raft, text, strlen(text), &m->proposal, NULL);
    } while (again(m, rc));
    return rc;
}

int cluster_change(struct cluster_member *m, int32_t type, uint64_t id)
{
    const struct swk_raft_change one = {.type = type, .id = id};
    const struct swk_raft_conf_change change = {
        .size = sizeof(change),
        .changes = &one,
        .changes_count = 1,
    };
    int rc;

    do {
        rc = swk_raft_propose_conf_change(m->raft, &change, &m->proposal,
                                          NULL);
    } while (again(m, rc));
    cluster_settle(m->cluster);
    return rc;
}

struct swk_raft_status cluster_status(const struct cluster_member *m)
{
    struct swk_raft_status status = {.size = sizeof(status)};

    swk_raft_status(m->raft, &status);
    return status;
}

void cluster_check_converged(struct cluster *c)
{
    struct cluster_member *leader = cluster_leader(c);
    struct swk_raft_peer peers[CLUSTER_MEMBERS_MAX];
    size_t count;

    assert_non_null(leader);
    count = swk_raft_peers(leader->raft, peers, CLUSTER_MEMBERS_MAX);
    assert_in_range(count, 1, CLUSTER_MEMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct cluster_member *m = &c->members[peers[i].id];

        if (m->raft != NULL) {
            assert_int_equal(m->applied, leader->applied);
            assert_int_equal(m->sum, leader->sum);
        }
    }
}
