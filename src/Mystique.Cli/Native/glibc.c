/*
 * Functions whose versions in glibc 2.32 and 2.34 are new while what they do is old: the command calls the old versions, and so runs
 * with glibc 2.31, too. The linker puts __wrap_NAME for NAME (--wrap, in Native.targets); the jump goes to the old one.
 */
#if defined(__x86_64__)
#define BASE "GLIBC_2.2.5"
#define NAMED "GLIBC_2.12"
#define CLOCKED "GLIBC_2.3.3"
#define JUMP(symbol) "  jmp *" symbol "@GOTPCREL(%rip)\n"
#elif defined(__aarch64__)
#define BASE "GLIBC_2.17"
#define NAMED BASE
#define CLOCKED BASE
#define JUMP(symbol) "  adrp x16, :got:" symbol "\n  ldr x16, [x16, :got_lo12:" symbol "]\n  br x16\n"
#else
#error "no old versions are known for this architecture"
#endif

#define OLD(name, version)                     \
    __asm__(".symver old_" #name ", " #name "@" version "\n" \
            ".pushsection .text\n"             \
            ".globl __wrap_" #name "\n"        \
            ".type __wrap_" #name ", %function\n" \
            "__wrap_" #name ":\n"              \
            JUMP("old_" #name)                 \
            ".popsection\n")

OLD(dladdr, BASE);
OLD(dlclose, BASE);
OLD(dlerror, BASE);
OLD(dlopen, BASE);
OLD(dlsym, BASE);
OLD(pthread_attr_getstack, BASE);
OLD(pthread_attr_setstacksize, BASE);
OLD(pthread_condattr_setclock, CLOCKED);
OLD(pthread_create, BASE);
OLD(pthread_getattr_np, BASE);
OLD(pthread_key_create, BASE);
OLD(pthread_kill, BASE);
OLD(pthread_mutexattr_destroy, BASE);
OLD(pthread_mutexattr_init, BASE);
OLD(pthread_mutexattr_settype, BASE);
OLD(pthread_once, BASE);
OLD(pthread_rwlock_rdlock, BASE);
OLD(pthread_rwlock_unlock, BASE);
OLD(pthread_rwlock_wrlock, BASE);
OLD(pthread_setname_np, NAMED);
OLD(pthread_setspecific, BASE);
OLD(pthread_sigmask, BASE);

/* A program that is linked with glibc 2.34 leaves its constructors to glibc; before that, they were the program's own to call. */
typedef void constructor(int, char **, char **);
extern constructor *__init_array_start[] __attribute__((visibility("hidden")));
extern constructor *__init_array_end[] __attribute__((visibility("hidden")));
extern void _init(void);

static void construct(int count, char **arguments, char **environment)
{
    _init();
    for (constructor **each = __init_array_start; each < __init_array_end; each++)
        (*each)(count, arguments, environment);
}

__asm__(".symver old_start, __libc_start_main@" BASE);
extern int old_start(int (*)(int, char **, char **), int, char **, constructor *, void (*)(void), void (*)(void), void *);

int __wrap___libc_start_main(int (*program)(int, char **, char **), int count, char **arguments, constructor *before, void (*after)(void),
                             void (*loader)(void), void *stack)
{
    return old_start(program, count, arguments, before ? before : construct, after, loader, stack);
}
