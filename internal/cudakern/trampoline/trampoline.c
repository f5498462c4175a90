/* A libcuda to link with where no driver is installed, and the way from it to the driver that is there when the program runs.
 * Until lomo_cuda_open finds one, every function fails as on a machine without a card, and a machine has no cards.
 *
 * gorgonia.org/cu calls cuInit in a package initialiser and ends the process when that fails, before main and for every command. So
 * cuInit here does nothing, and the driver's own is called by lomo_cuda_open, when somebody asks for a card. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "trampoline.h"

enum { SUCCESS = 0, NO_DEVICE = 100, NOT_SUPPORTED = 801 };

static int absent(void) { return NO_DEVICE; }
static int missing(void) { return NOT_SUPPORTED; } /* of a driver older than the function */

#define SYMBOL(name) #name,
static const char *const names[] = {
#include "symbols.h"
};
#undef SYMBOL

/* Where the functions of trampoline.S jump to. */
#define SYMBOL(name) (void *)absent,
void *lomo_cuda_table[] = {
#include "symbols.h"
};
#undef SYMBOL

static int (*real_count)(int *);
static int (*real_version)(int *);

int cuInit(unsigned flags) {
	(void)flags;
	return SUCCESS;
}

int cuDeviceGetCount(int *count) {
	*count = 0;
	return real_count ? real_count(count) : SUCCESS;
}

int cuDriverGetVersion(int *version) {
	*version = 0;
	return real_version ? real_version(version) : SUCCESS;
}

int lomo_cuda_open(char *message, int size, int *code) {
	const char *path = getenv("LOMO_CUDA_DRIVER");
	if (path == NULL || *path == '\0')
		path = "libcuda.so.1";
	*code = 0;
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL) {
		snprintf(message, (size_t)size, "%s", dlerror());
		return LOMO_CUDA_NO_LIBRARY;
	}
	int (*init)(unsigned) = (int (*)(unsigned))dlsym(lib, "cuInit");
	if (init == NULL) {
		snprintf(message, (size_t)size, "%s has no cuInit", path);
		return LOMO_CUDA_NO_LIBRARY;
	}
	snprintf(message, (size_t)size, "%s", path);
	*code = init(0);
	real_version = (int (*)(int *))dlsym(lib, "cuDriverGetVersion"); /* works without a card */
	if (*code != SUCCESS)
		return LOMO_CUDA_NO_CARD;
	real_count = (int (*)(int *))dlsym(lib, "cuDeviceGetCount");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *f = dlsym(lib, names[i]);
		lomo_cuda_table[i] = f ? f : (void *)missing;
	}
	return LOMO_CUDA_OPEN;
}
