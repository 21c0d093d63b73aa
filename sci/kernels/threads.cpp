// The threads that run the blocks of a kernel on the CPU, in place of OpenMP's: they sleep between launches, and a forked
// child starts its own.
//
// One launch at a time has the helpers; one that comes meanwhile from another thread works alone, and so does a launch for
// which no thread can be started. Blocks are handed out one by one. A helper that wakes up late is not waited for.
#include <pthread.h>
#include <signal.h>

typedef long long i64;
typedef void (*Body)(const void* arguments, i64 first, i64 last);

namespace {

struct Work {
    Body body;
    const void* arguments;
    i64 blocks, next;

    void run() {
        const Body call = body;  // `next` changes hands all the time: what lies beside it is read once
        const void* const given = arguments;
        const i64 end = blocks;
        for (i64 i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < end;) call(given, i, i + 1);
    }
};

pthread_mutex_t in_use, guard;  // of the helpers as a whole, and of what follows
pthread_cond_t wake, done;
Work* current;
int wanted, inside, helpers;  // helpers that may still join the work, that are in it, that there are

void* help(void*) {
    pthread_mutex_lock(&guard);
    for (;;) {
        while (current == nullptr || wanted == 0) pthread_cond_wait(&wake, &guard);
        Work* const work = current;
        --wanted, ++inside;
        pthread_mutex_unlock(&guard);
        work->run();
        pthread_mutex_lock(&guard);
        if (--inside == 0) pthread_cond_signal(&done);
    }
    return nullptr;
}

// Starts helpers up to `count`, with all signals blocked: those are for the threads of the program.
void start(const int count) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pthread_t thread; helpers < count; ++helpers) {
        if (pthread_create(&thread, nullptr, help, nullptr) != 0) break;
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// A forked child has none of its parent's helpers.
void reset() {
    pthread_mutex_init(&in_use, nullptr);
    pthread_mutex_init(&guard, nullptr);
    pthread_cond_init(&wake, nullptr);
    pthread_cond_init(&done, nullptr);
    current = nullptr;
    wanted = inside = helpers = 0;
}

__attribute__((constructor)) void prepare() {
    reset();
    pthread_atfork(nullptr, nullptr, reset);
}

}  // namespace

// Runs body(arguments, i, i + 1) for all 0 <= i < blocks on at most `threads` threads, of which the caller's is one.
extern "C" void sci_run(const Body body, const void* arguments, const i64 blocks, const int threads) {
    Work work = {body, arguments, blocks, 0};
    if (threads < 2 || blocks < 2 || pthread_mutex_trylock(&in_use) != 0) {
        body(arguments, 0, blocks);
        return;
    }
    const int count = blocks < threads ? int(blocks) - 1 : threads - 1;
    pthread_mutex_lock(&guard);
    start(count);
    current = &work;
    wanted = count < helpers ? count : helpers;
    for (int i = 0; i < wanted; ++i) pthread_cond_signal(&wake);
    pthread_mutex_unlock(&guard);
    work.run();
    pthread_mutex_lock(&guard);
    current = nullptr;
    wanted = 0;
    while (inside > 0) pthread_cond_wait(&done, &guard);
    pthread_mutex_unlock(&guard);
    pthread_mutex_unlock(&in_use);
}
