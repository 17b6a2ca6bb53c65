/* SPDX-License-Identifier: Apache-2.0 */

/* The program: runs from a seed on, until the first that breaks a rule. */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "sim/jobs.h"
#include "sim/sim.h"

static const char help[] =
    "Usage: raft-sim [FLAGS]\n"
    "\n"
    "Runs simulated raft groups, each from one seed, and checks raft's rules "
    "after\nevery step. Exits with 1 after a run that broke one.\n"
    "\n"
    "  --seed N         the first seed [default: 1]\n"
    "  --runs N         how many runs [default: 100]\n"
    "  --hours H        run until so many hours of groups' lives are "
    "simulated\n"
    "  --jobs N         in so many processes [default: 1]\n"
    "  --profile NAME   what may go wrong [default: each in turn]\n"
    "  --members N      at the beginning, instead of what the seed says\n"
    "  --seconds N      of faults, instead of what the seed says\n"
    "  --without LIST   faults that never happen, such as loss,pause\n"
    "  --plant BUG      plants a known bug, to see that it is found\n"
    "  --store          the library's store instead of registers\n"
    "  --outcome        checks alone what is seen from outside\n"
    "  --trace          shows all that happens\n"
    "  --cmocka NAME    reports as a test of that name\n"
    "  --list           lists profiles, faults and bugs\n"
    "  --help           shows this\n";

struct options {
    uint64_t seed;
    uint64_t runs;
    double hours;
    const char *profile; /* NULL: each in turn */
    const char *test;    /* NULL: no test */
    unsigned jobs;
    struct overrides overrides;
};

static double seconds_of(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Of this process, and of those that it has waited for. */
static double cpu_seconds(void)
{
    struct rusage own;
    struct rusage others;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &others);
    return seconds_of(&own) + seconds_of(&others);
}

static double wall_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void list_all(void)
{
    printf("profiles:");
    for (size_t i = 0; profile_names[i] != NULL; i++) {
        printf(" %s", profile_names[i]);
    }
    printf("\nfaults:");
    for (int i = 0; i < FAULT_COUNT; i++) {
        printf(" %s", fault_names[i]);
    }
    printf("\nbugs:");
    for (int i = 0; i < PLANT_COUNT; i++) {
        printf(" %s (%s)", plants[i].name, plants[i].rule);
    }
    printf("\n");
}

/* -- Flags ----------------------------------------------------------------- */

static bool read_without(const char *list, uint32_t *out)
{
    char text[512];
    char *rest = text;
    const char *word;

    snprintf(text, sizeof(text), "%s", list);
    while ((word = strsep(&rest, ",")) != NULL) {
        int fault = 0;

        while (fault < FAULT_COUNT && strcmp(fault_names[fault], word) != 0) {
            fault++;
        }
        if (fault == FAULT_COUNT) {
            fprintf(stderr, "raft-sim: no fault is called %s\n", word);
            return false;
        }
        *out |= UINT32_C(1) << fault;
    }
    return true;
}

static bool read_profile(const char *name, const char **out)
{
    for (size_t i = 0; profile_names[i] != NULL; i++) {
        if (strcmp(profile_names[i], name) == 0) {
            *out = profile_names[i];
            return true;
        }
    }
    fprintf(stderr, "raft-sim: no profile is called %s\n", name);
    return false;
}

static bool read_plant(const char *name, enum plant *out)
{
    for (int i = 0; i < PLANT_COUNT; i++) {
        if (strcmp(plants[i].name, name) == 0) {
            *out = (enum plant)i;
            return true;
        }
    }
    fprintf(stderr, "raft-sim: no bug is called %s\n", name);
    return false;
}

/* -1 to go on, else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option flags[] = {
        {"seed", required_argument, NULL, 's'},
        {"runs", required_argument, NULL, 'r'},
        {"hours", required_argument, NULL, 'H'},
        {"jobs", required_argument, NULL, 'j'},
        {"profile", required_argument, NULL, 'p'},
        {"members", required_argument, NULL, 'm'},
        {"seconds", required_argument, NULL, 'd'},
        {"without", required_argument, NULL, 'w'},
        {"plant", required_argument, NULL, 'b'},
        {"outcome", no_argument, NULL, 'o'},
        {"store", no_argument, NULL, 'S'},
        {"trace", no_argument, NULL, 't'},
        {"cmocka", required_argument, NULL, 'c'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {0}};
    int flag;

    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        switch (flag) {
        case 's':
            o->seed = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            o->runs = strtoull(optarg, NULL, 10);
            break;
        case 'H':
            o->hours = strtod(optarg, NULL);
            break;
        case 'j':
            o->jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            if (!read_profile(optarg, &o->profile)) {
                return 2;
            }
            break;
        case 'm':
            o->overrides.members = (uint32_t)atoi(optarg);
            break;
        case 'd':
            o->overrides.duration = strtoull(optarg, NULL, 10) * SWK_SECOND;
            break;
        case 'w':
            if (!read_without(optarg, &o->overrides.without)) {
                return 2;
            }
            break;
        case 'b':
            if (!read_plant(optarg, &o->overrides.plant)) {
                return 2;
            }
            break;
        case 'o':
            o->overrides.outcome_only = true;
            break;
        case 'S':
            o->overrides.use_store = true;
            break;
        case 't':
            o->overrides.trace = 2;
            break;
        case 'c':
            o->test = optarg;
            break;
        case 'l':
            list_all();
            return 0;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            return 2;
        }
    }
    return -1;
}

/* -- Runs ------------------------------------------------------------------ */

#ifdef SWKI_RAFT_FAULTS
#include "core/raft/inside.h"

enum swki_machine_fault swki_machine_planted;

static bool plant_in_core(enum plant plant)
{
    static const enum swki_machine_fault faults[] = {
        [PLANT_COM_1 - PLANT_CORE] = SWKI_FAULT_COUNT_OLD_TERMS,
        [PLANT_ELE_4 - PLANT_CORE] = SWKI_FAULT_ANY_LOG_WINS,
        [PLANT_FOL_3 - PLANT_CORE] = SWKI_FAULT_CUT_AT_APPEND,
        [PLANT_CFG_3 - PLANT_CORE] = SWKI_FAULT_CHANGES_AT_ONCE,
        [PLANT_REP_4 - PLANT_CORE] = SWKI_FAULT_TELL_COMMIT,
        [PLANT_RDI_2 - PLANT_CORE] = SWKI_FAULT_READ_UNCOMMITTED,
        [PLANT_CFG_14 - PLANT_CORE] = SWKI_FAULT_CHANGES_EARLY,
        [PLANT_MSG_2 - PLANT_CORE] = SWKI_FAULT_ANSWER_AT_ONCE,
        [PLANT_RDY_7 - PLANT_CORE] = SWKI_FAULT_OLD_STORED,
        [PLANT_LOST_VOTES - PLANT_CORE] = SWKI_FAULT_VOTE_WITH_LOSS,
    };

    if (plant >= PLANT_CORE) {
        swki_machine_planted = faults[plant - PLANT_CORE];
    }
    return true;
}
#else
static bool plant_in_core(enum plant plant)
{
    return plant < PLANT_CORE;
}
#endif

static const char *profile_of(const struct options *o, uint64_t seed)
{
    size_t profiles = 0;

    while (profile_names[profiles] != NULL) {
        profiles++;
    }
    return o->profile != NULL ? o->profile : profile_names[seed % profiles];
}

static struct sim *run(const struct options *o, uint64_t seed,
                       const struct overrides *overrides)
{
    struct overrides used = *overrides;
    struct settings settings;

    used.profile = profile_of(o, seed);
    if (!settings_draw(&settings, seed, &used)) {
        abort(); /* it was looked up before */
    }
    if (used.trace == 2) {
        settings_print(&settings, stdout);
    }
    return sim_run(&settings);
}

static void print_without(uint32_t without)
{
    const char *between = " --without ";

    for (int i = 0; i < FAULT_COUNT; i++) {
        if ((without >> i & 1) != 0) {
            printf("%s%s", between, fault_names[i]);
            between = ",";
        }
    }
}

/* Leaves out kinds of faults one by one, while the run still breaks a rule. */
static struct overrides shrink(const struct options *o, uint64_t seed)
{
    struct overrides smallest = o->overrides;

    smallest.trace = 0;
    for (int i = 0; i < FAULT_COUNT; i++) {
        struct overrides tried = smallest;
        struct sim *sim;

        tried.without |= UINT32_C(1) << i;
        sim = run(o, seed, &tried);
        if (sim->broken[0] != '\0') {
            smallest = tried;
        }
        sim_free(sim);
    }
    return smallest;
}

static void print_replay(const struct options *o, uint64_t seed,
                         const char *profile, uint32_t without)
{
    const struct overrides *fixed = &o->overrides;

    printf("replay: raft-sim --seed %llu --runs 1 --profile %s",
           (unsigned long long)seed, profile);
    if (fixed->plant != PLANT_NONE) {
        printf(" --plant %s", plants[fixed->plant].name);
    }
    if (fixed->members != 0) {
        printf(" --members %u", fixed->members);
    }
    if (fixed->duration != 0) {
        printf(" --seconds %llu",
               (unsigned long long)(fixed->duration / SWK_SECOND));
    }
    if (fixed->use_store) {
        printf(" --store");
    }
    if (fixed->outcome_only) {
        printf(" --outcome");
    }
    print_without(without);
    printf(" --trace\n");
}

static void explain(const struct options *o, const struct result *result)
{
    struct overrides smallest;
    struct sim *sim;

    printf("seed %llu broke a rule: %s\n", (unsigned long long)result->seed,
           result->broken);
    if (result->stats.runs == 0) { /* it would take this process along */
        print_replay(o, result->seed, profile_of(o, result->seed),
                     o->overrides.without);
        return;
    }
    smallest = shrink(o, result->seed);
    smallest.trace = 1;
    sim = run(o, result->seed, &smallest);
    settings_print(&sim->s, stdout);
    printf("the last that happened, with fewer faults:\n");
    for (uint64_t i = 0; i < TRACE_LINES; i++) {
        const char *line = sim->trace[(sim->trace_count + i) % TRACE_LINES];

        if (line[0] != '\0') {
            printf("%s\n", line);
        }
    }
    print_replay(o, result->seed, sim->s.profile, smallest.without);
    sim_free(sim);
}

static void run_one(const void *ctx, uint64_t seed, struct result *out)
{
    const struct options *o = ctx;
    struct sim *sim = run(o, seed, &o->overrides);

    *out = (struct result){.seed = seed, .stats = sim->stats};
    memcpy(out->broken, sim->broken, sizeof(out->broken));
    sim_free(sim);
}

static double hours_of(const struct stats *sum)
{
    return (double)sum->simulated_ns / (3600.0 * (double)SWK_SECOND);
}

static bool enough(const struct options *o, const struct stats *sum)
{
    return o->hours > 0 ? hours_of(sum) >= o->hours : sum->runs >= o->runs;
}

/* How far it is, and how long it will take at this speed. */
static void tell_progress(const struct options *o, const struct stats *sum,
                          double passed)
{
    double done = o->hours > 0 ? hours_of(sum) / o->hours
                               : (double)sum->runs / (double)o->runs;

    fprintf(stderr,
            "%llu runs, %.1f hours simulated, %.1f to go; %.0f s passed, some "
            "%.0f s to go\n",
            (unsigned long long)sum->runs, hours_of(sum),
            hours_of(sum) / done - hours_of(sum), passed,
            passed / done - passed);
}

static bool run_all(const struct options *o, struct stats *sum)
{
    double began = wall_seconds();
    double told = began;
    struct result result = {0};
    struct jobs jobs;

    jobs_start(&jobs, o->jobs, o->seed, run_one, o);
    while (!enough(o, sum) && result.broken[0] == '\0') {
        jobs_next(&jobs, &result);
        stats_add(sum, &result.stats);
        if (wall_seconds() - told > 10) {
            told = wall_seconds();
            tell_progress(o, sum, told - began);
        }
    }
    jobs_stop(&jobs);
    if (result.broken[0] != '\0' && o->overrides.plant == PLANT_NONE) {
        explain(o, &result);
    } else if (result.broken[0] != '\0') {
        printf("seed %llu found it: %s\n", (unsigned long long)result.seed,
               result.broken);
    }
    return result.broken[0] == '\0';
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .runs = 100, .jobs = 1};
    struct stats sum = {0};
    int status = parse(argc, argv, &o);
    bool good;

    if (status >= 0) {
        return status;
    }
    if (!plant_in_core(o.overrides.plant)) {
        fprintf(stderr, "raft-sim: that bug is in raft-sim-planted alone\n");
        return 2;
    }
    if (o.jobs == 0) {
        fprintf(stderr, "raft-sim: it takes one job at least\n");
        return 2;
    }
    good = run_all(&o, &sum);
    stats_print(&sum, cpu_seconds(), stdout);
    if (o.overrides.plant != PLANT_NONE) {
        good = !good; /* it had to be found */
    }
    if (o.test != NULL) {
        printf("[%s] %s\n", good ? "       OK " : "  FAILED  ", o.test);
    }
    return good ? 0 : 1;
}
