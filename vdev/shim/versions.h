/* Asks for the versions of libpthread's functions that glibc 2.28 has too: those of 2.34, where they moved to libc,
 * would keep the shim from loading before it. */
#ifndef SL_VERSIONS_H
#define SL_VERSIONS_H

#include <features.h>

#ifdef __GLIBC__

#if defined(__x86_64__)
#define SL_FIRST_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define SL_FIRST_GLIBC "GLIBC_2.17"
#else
#error "which version do the functions of glibc begin with on this machine?"
#endif

#define SL_VERSION(name) __asm__(".symver " #name "," #name "@" SL_FIRST_GLIBC)
SL_VERSION(pthread_create);
SL_VERSION(pthread_detach);
SL_VERSION(pthread_getspecific);
SL_VERSION(pthread_key_create);
SL_VERSION(pthread_once);
SL_VERSION(pthread_setspecific);
SL_VERSION(sem_init);
SL_VERSION(sem_post);
SL_VERSION(sem_wait);

#endif
#endif
