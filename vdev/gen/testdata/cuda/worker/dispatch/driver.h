/* What the stand-in worker needs of C. */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdlib.h>

#include "cuda.h"
#include "wire.h"

#endif
