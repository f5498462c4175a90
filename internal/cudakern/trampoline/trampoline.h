/* What libcuda.a has beside the functions of CUDA. */
#ifndef LOMO_TRAMPOLINE_H
#define LOMO_TRAMPOLINE_H

enum {
	LOMO_CUDA_OPEN = 0,
	LOMO_CUDA_NO_LIBRARY = 1, /* message: what the loader says */
	LOMO_CUDA_NO_CARD = 2,    /* the library's cuInit failed with code */
};

/* lomo_cuda_open loads the driver, $LOMO_CUDA_DRIVER or libcuda.so.1, initialises it and points every function to it. message gets the
 * library's path, or why there is none. Call it once. */
int lomo_cuda_open(char *message, int size, int *code);

#endif
