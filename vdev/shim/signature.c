/* Signatures: what the driver has said of a program's kernels, so that it is asked once for all kernels of a name. */
#include "shim.h"

#include <stdlib.h>

static void signature_free(struct sl_signature *signature)
{
	pthread_mutex_destroy(&signature->lock);
	free(signature->arguments);
	free(signature->name);
	free(signature);
}

void sl_signature_drop(struct sl_signature *signature)
{
	if (signature && atomic_fetch_sub(&signature->holders, 1) == 1)
		signature_free(signature);
}

struct sl_signature *sl_signature_hold(struct sl_signature *signature)
{
	atomic_fetch_add(&signature->holders, 1);
	return signature;
}

struct sl_signature *sl_signature_find(sl_object *program, const char *name)
{
	pthread_mutex_lock(&program->as.program.lock);
	struct sl_signature *signature = program->as.program.signatures;
	while (signature && strcmp(signature->name, name) != 0)
		signature = signature->next;
	if (signature)
		sl_signature_hold(signature);
	pthread_mutex_unlock(&program->as.program.lock);
	return signature;
}

/* The worker's answer: u32 count, then one form an argument. */
static cl_int arguments_parse(struct sl_signature *signature, const uint8_t *reply, size_t length)
{
	uint32_t count;
	if (!reply || length < sizeof(count))
		return CL_OUT_OF_RESOURCES;
	memcpy(&count, reply, sizeof(count));
	if (count > SL_ARGUMENTS_MAX || length < 4 * ((size_t)count + 1))
		return CL_OUT_OF_RESOURCES;
	signature->arguments = calloc(count + 1U, sizeof(struct sl_argument));
	if (!signature->arguments)
		return CL_OUT_OF_HOST_MEMORY;
	signature->argument_count = count;
	for (uint32_t i = 0; i < count; i++)
		memcpy(&signature->arguments[i].form, reply + 4 * ((size_t)i + 1), 4);
	return CL_SUCCESS;
}

struct sl_signature *sl_signature_learn(sl_object *program, const char *name, const uint8_t *reply, size_t length,
					cl_int *status)
{
	struct sl_signature *signature = calloc(1, sizeof(*signature));
	*status = CL_OUT_OF_HOST_MEMORY;
	if (!signature)
		return NULL;
	pthread_mutex_init(&signature->lock, NULL);
	atomic_store(&signature->holders, 2); /* the program and the caller */
	if ((signature->name = strdup(name)))
		*status = arguments_parse(signature, reply, length);
	if (*status != CL_SUCCESS) {
		signature_free(signature);
		return NULL;
	}
	pthread_mutex_lock(&program->as.program.lock);
	signature->next = program->as.program.signatures;
	program->as.program.signatures = signature;
	pthread_mutex_unlock(&program->as.program.lock);
	return signature;
}

void sl_signatures_forget(sl_object *program)
{
	pthread_mutex_lock(&program->as.program.lock);
	struct sl_signature *signature = program->as.program.signatures;
	program->as.program.signatures = NULL;
	pthread_mutex_unlock(&program->as.program.lock);
	while (signature) {
		struct sl_signature *next = signature->next;
		sl_signature_drop(signature);
		signature = next;
	}
}

bool sl_launch_known(struct sl_signature *signature, const struct sl_launch *launch)
{
	bool known = false;
	pthread_mutex_lock(&signature->lock);
	for (int i = 0; i < SL_CONFIRMED_MAX && !known; i++)
		known = memcmp(&signature->launches[i], launch, sizeof(*launch)) == 0;
	pthread_mutex_unlock(&signature->lock);
	return known;
}

void sl_launch_remember(struct sl_signature *signature, const struct sl_launch *launch)
{
	pthread_mutex_lock(&signature->lock);
	signature->launches[signature->next_launch++ % SL_CONFIRMED_MAX] = *launch;
	pthread_mutex_unlock(&signature->lock);
}
