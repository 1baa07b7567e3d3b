/* A made-up NVML with one device, for tests; what it tells is no measurement. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned int gpu, memory; } rates_t;

/* What becomes of a question: -DLOST answers that the GPU is lost, -DCRASH ends the process that
   asks, -DHANG never answers. */
#if defined(LOST)
#define FATE return 15
#elif defined(CRASH)
#define FATE abort()
#elif defined(HANG)
#define FATE for (;;) pause()
#else
#define FATE (void)0
#endif

int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned int flags) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "made up"; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
  static int one;
  *device = &one;
  return 0;
}
int nvmlDeviceGetName(void *device, char *name, unsigned int length) {
  strncpy(name, "Fake GPU (made up by a test)", length);
  return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
  FATE;
  memory->total = 8000000000ull;
  memory->used = 3000000000ull;
  memory->free = memory->total - memory->used;
  return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, rates_t *rates) {
  FATE;
  rates->gpu = 87;
  rates->memory = 50;
  return 0;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) {
  FATE;
  *milliwatts = 312500;
  return 0;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) {
  FATE;
  *celsius = 91;
  return 0;
}
typedef struct {
  unsigned int pid;
  unsigned long long used;
  unsigned int instance, compute_instance;
} process_t;
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, process_t *told) {
  FATE;
  const char *pid = getenv("FAKE_PID");
  if (told == NULL) {
    *count = 2;
    return 7; /* NVML_ERROR_INSUFFICIENT_SIZE */
  }
  told[0] = (process_t){1, 1000000000ull, 0, 0};
  told[1] = (process_t){pid ? (unsigned int)atoi(pid) : 2, 5000000000ull, 0, 0};
  *count = 2;
  return 0;
}

static int reasons(unsigned long long *bits) {
  FATE;
  const char *told = getenv("FAKE_REASONS");
  *bits = told ? strtoull(told, NULL, 0) : 0;
  return 0;
}
#ifndef NO_REASONS
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *bits) {
  return reasons(bits);
}
#ifndef OLD_NAME
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *bits) {
  return reasons(bits);
}
#endif
#endif
