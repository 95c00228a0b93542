package dispatch

// #include "driver.h"
// #include <CL/cl_ext.h>
import "C"

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unsafe"
)

const (
	groupPlatform = 0
	groupDevice   = 1
)

// extensionsForwarded are the extensions that add nothing to the API, only to
// the kernel language; any other is hidden until its functions are forwarded.
var extensionsForwarded = map[string]bool{
	"cl_khr_icd": true, "cl_khr_byte_addressable_store": true,
	"cl_khr_global_int32_base_atomics": true, "cl_khr_global_int32_extended_atomics": true,
	"cl_khr_local_int32_base_atomics": true, "cl_khr_local_int32_extended_atomics": true,
	"cl_khr_int64_base_atomics": true, "cl_khr_int64_extended_atomics": true,
	"cl_khr_3d_image_writes": true, "cl_khr_fp16": true, "cl_khr_fp64": true, "cles_khr_int64": true,
	"cl_khr_subgroups": true, "cl_khr_subgroup_ballot": true, "cl_khr_subgroup_clustered_reduce": true,
	"cl_khr_subgroup_extended_types": true, "cl_khr_subgroup_non_uniform_arithmetic": true,
	"cl_khr_subgroup_non_uniform_vote": true, "cl_khr_subgroup_rotate": true, "cl_khr_subgroup_shuffle": true,
	"cl_khr_subgroup_shuffle_relative": true,
	"cl_khr_extended_bit_ops":          true, "cl_khr_expect_assume": true, "cl_khr_select_fprounding_mode": true,
	"cl_khr_work_group_uniform_arithmetic": true,
	// These add a form of program, which calls of the API itself take.
	"cl_khr_spir": true, "cl_khr_spirv_no_integer_wrap_decoration": true, "cl_khr_spirv_linkonce_odr": true,
	"cl_khr_spirv_extended_debug_info": true,
}

// featuresHidden are the kernel language's optional features that need calls
// which are not forwarded.
var featuresHidden = []string{"pipes", "device_enqueue"}

var platformFacts = []C.cl_platform_info{
	C.CL_PLATFORM_PROFILE, C.CL_PLATFORM_VERSION, C.CL_PLATFORM_NAME, C.CL_PLATFORM_VENDOR, C.CL_PLATFORM_EXTENSIONS,
	C.CL_PLATFORM_HOST_TIMER_RESOLUTION, C.CL_PLATFORM_NUMERIC_VERSION, C.CL_PLATFORM_EXTENSIONS_WITH_VERSION,
	C.CL_PLATFORM_ICD_SUFFIX_KHR,
}

var deviceFacts = []C.cl_device_info{
	C.CL_DEVICE_TYPE, C.CL_DEVICE_VENDOR_ID, C.CL_DEVICE_MAX_COMPUTE_UNITS, C.CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS,
	C.CL_DEVICE_MAX_WORK_GROUP_SIZE, C.CL_DEVICE_MAX_WORK_ITEM_SIZES,
	C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR, C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT, C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT,
	C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG, C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE,
	C.CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF,
	C.CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR, C.CL_DEVICE_NATIVE_VECTOR_WIDTH_SHORT, C.CL_DEVICE_NATIVE_VECTOR_WIDTH_INT,
	C.CL_DEVICE_NATIVE_VECTOR_WIDTH_LONG, C.CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, C.CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE,
	C.CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF,
	C.CL_DEVICE_MAX_CLOCK_FREQUENCY, C.CL_DEVICE_ADDRESS_BITS, C.CL_DEVICE_MAX_READ_IMAGE_ARGS, C.CL_DEVICE_MAX_WRITE_IMAGE_ARGS,
	C.CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS, C.CL_DEVICE_MAX_MEM_ALLOC_SIZE, C.CL_DEVICE_IMAGE2D_MAX_WIDTH, C.CL_DEVICE_IMAGE2D_MAX_HEIGHT,
	C.CL_DEVICE_IMAGE3D_MAX_WIDTH, C.CL_DEVICE_IMAGE3D_MAX_HEIGHT, C.CL_DEVICE_IMAGE3D_MAX_DEPTH, C.CL_DEVICE_IMAGE_SUPPORT,
	C.CL_DEVICE_IMAGE_PITCH_ALIGNMENT, C.CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT,
	C.CL_DEVICE_IMAGE_MAX_BUFFER_SIZE, C.CL_DEVICE_IMAGE_MAX_ARRAY_SIZE, C.CL_DEVICE_MAX_SAMPLERS,
	C.CL_DEVICE_MAX_PARAMETER_SIZE, C.CL_DEVICE_MEM_BASE_ADDR_ALIGN, C.CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE,
	C.CL_DEVICE_SINGLE_FP_CONFIG, C.CL_DEVICE_DOUBLE_FP_CONFIG, C.CL_DEVICE_HALF_FP_CONFIG,
	C.CL_DEVICE_GLOBAL_MEM_CACHE_TYPE, C.CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE, C.CL_DEVICE_GLOBAL_MEM_CACHE_SIZE,
	C.CL_DEVICE_GLOBAL_MEM_SIZE, C.CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, C.CL_DEVICE_MAX_CONSTANT_ARGS,
	C.CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, C.CL_DEVICE_GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE,
	C.CL_DEVICE_LOCAL_MEM_TYPE, C.CL_DEVICE_LOCAL_MEM_SIZE, C.CL_DEVICE_ERROR_CORRECTION_SUPPORT, C.CL_DEVICE_HOST_UNIFIED_MEMORY,
	C.CL_DEVICE_PROFILING_TIMER_RESOLUTION, C.CL_DEVICE_ENDIAN_LITTLE, C.CL_DEVICE_AVAILABLE, C.CL_DEVICE_COMPILER_AVAILABLE,
	C.CL_DEVICE_LINKER_AVAILABLE, C.CL_DEVICE_EXECUTION_CAPABILITIES, C.CL_DEVICE_QUEUE_ON_HOST_PROPERTIES,
	C.CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, C.CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE, C.CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE,
	C.CL_DEVICE_MAX_ON_DEVICE_QUEUES, C.CL_DEVICE_MAX_ON_DEVICE_EVENTS, C.CL_DEVICE_BUILT_IN_KERNELS,
	C.CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION,
	C.CL_DEVICE_NAME, C.CL_DEVICE_VENDOR, C.CL_DRIVER_VERSION, C.CL_DEVICE_PROFILE, C.CL_DEVICE_VERSION, C.CL_DEVICE_NUMERIC_VERSION,
	C.CL_DEVICE_OPENCL_C_VERSION, C.CL_DEVICE_OPENCL_C_ALL_VERSIONS, C.CL_DEVICE_OPENCL_C_FEATURES,
	C.CL_DEVICE_EXTENSIONS, C.CL_DEVICE_EXTENSIONS_WITH_VERSION, C.CL_DEVICE_PRINTF_BUFFER_SIZE,
	C.CL_DEVICE_PREFERRED_INTEROP_USER_SYNC, C.CL_DEVICE_PARTITION_MAX_SUB_DEVICES, C.CL_DEVICE_PARTITION_PROPERTIES,
	C.CL_DEVICE_PARTITION_AFFINITY_DOMAIN, C.CL_DEVICE_PARTITION_TYPE, C.CL_DEVICE_REFERENCE_COUNT,
	C.CL_DEVICE_MAX_PIPE_ARGS, C.CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS, C.CL_DEVICE_PIPE_MAX_PACKET_SIZE, C.CL_DEVICE_PIPE_SUPPORT,
	C.CL_DEVICE_SVM_CAPABILITIES, C.CL_DEVICE_PREFERRED_PLATFORM_ATOMIC_ALIGNMENT, C.CL_DEVICE_PREFERRED_GLOBAL_ATOMIC_ALIGNMENT,
	C.CL_DEVICE_PREFERRED_LOCAL_ATOMIC_ALIGNMENT, C.CL_DEVICE_IL_VERSION, C.CL_DEVICE_ILS_WITH_VERSION, C.CL_DEVICE_SPIR_VERSIONS,
	C.CL_DEVICE_MAX_NUM_SUB_GROUPS, C.CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS,
	C.CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES, C.CL_DEVICE_ATOMIC_FENCE_CAPABILITIES, C.CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT,
	C.CL_DEVICE_WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT, C.CL_DEVICE_GENERIC_ADDRESS_SPACE_SUPPORT,
	C.CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, C.CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
	C.CL_DEVICE_LATEST_CONFORMANCE_VERSION_PASSED,
}

// zeroFacts are of what is not forwarded.
var zeroFacts = map[C.cl_device_info]bool{
	C.CL_DEVICE_PIPE_SUPPORT: true,
}

// describe asks the driver for all that the platform's and the devices' info queries
// answer, as the slices' memory and the calls that are forwarded allow. The platform's
// facts come with the first device's.
// Each fact is u32 group, parameter, length, 0, and the value padded to 8 bytes.
func (l *Lease) describe() {
	var facts []byte
	for _, p := range platformFacts {
		value, ok := ask(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
			return C.clGetPlatformInfo(l.platform, p, size, value, sizeRet)
		})
		if ok {
			facts = appendFact(facts, groupPlatform, uint32(p), platformFact(p, value))
		}
	}
	for i := range l.devices {
		l.devices[i].facts = l.appendDeviceFacts(facts, l.devices[i].driver, l.devices[i].limit)
		facts = nil
	}
}

// appendDeviceFacts appends the facts of a device, or a sub-device, of which so much
// memory is leased.
func (l *Lease) appendDeviceFacts(facts []byte, device C.cl_device_id, memoryBytes uint64) []byte {
	for _, p := range deviceFacts {
		value, ok := ask(func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int {
			return C.clGetDeviceInfo(device, p, size, value, sizeRet)
		})
		if ok {
			facts = appendFact(facts, groupDevice, uint32(p), l.deviceFact(p, value, memoryBytes))
		}
	}
	return facts
}

func ask(get func(size C.size_t, value unsafe.Pointer, sizeRet *C.size_t) C.cl_int) ([]byte, bool) {
	var size C.size_t
	if get(0, nil, &size) != C.CL_SUCCESS {
		return nil, false
	}
	if size == 0 {
		return nil, true
	}
	value := make([]byte, size)
	return value, get(size, unsafe.Pointer(&value[0]), nil) == C.CL_SUCCESS
}

func appendFact(b []byte, group, parameter uint32, value []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, group)
	b = binary.LittleEndian.AppendUint32(b, parameter)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&7)...)
}

func platformFact(p C.cl_platform_info, value []byte) []byte {
	switch p {
	case C.CL_PLATFORM_EXTENSIONS:
		return filterNames(value, func(name string) bool { return extensionsForwarded[name] })
	case C.CL_PLATFORM_EXTENSIONS_WITH_VERSION:
		return filterVersions(value, func(name string) bool { return extensionsForwarded[name] })
	}
	return value
}

func (l *Lease) deviceFact(p C.cl_device_info, value []byte, memoryBytes uint64) []byte {
	if zeroFacts[p] {
		return make([]byte, len(value))
	}
	switch p {
	case C.CL_DEVICE_EXTENSIONS:
		return filterNames(value, func(name string) bool { return extensionsForwarded[name] })
	case C.CL_DEVICE_EXTENSIONS_WITH_VERSION:
		return filterVersions(value, func(name string) bool { return extensionsForwarded[name] })
	case C.CL_DEVICE_OPENCL_C_FEATURES:
		return filterVersions(value, featureForwarded)
	case C.CL_DEVICE_GLOBAL_MEM_SIZE, C.CL_DEVICE_MAX_MEM_ALLOC_SIZE, C.CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE,
		C.CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, C.CL_DEVICE_GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE:
		return atMost(value, memoryBytes)
	case C.CL_DEVICE_SVM_CAPABILITIES:
		return l.svmFact(value)
	case C.CL_DEVICE_EXECUTION_CAPABILITIES:
		return atMost(value, C.CL_EXEC_KERNEL)
	}
	return value
}

func atMost(value []byte, limit uint64) []byte {
	if len(value) != 8 || binary.LittleEndian.Uint64(value) <= limit {
		return value
	}
	return binary.LittleEndian.AppendUint64(nil, limit)
}

func featureForwarded(name string) bool {
	for _, hidden := range featuresHidden {
		if strings.HasSuffix(name, hidden) {
			return false
		}
	}
	return true
}

// filterNames keeps the names of a list that is separated by spaces and ended
// by NUL.
func filterNames(value []byte, keep func(string) bool) []byte {
	var kept []string
	for _, name := range strings.Fields(strings.TrimRight(string(value), "\x00")) {
		if keep(name) {
			kept = append(kept, name)
		}
	}
	return append([]byte(strings.Join(kept, " ")), 0)
}

// filterVersions keeps entries of a list of cl_name_version.
func filterVersions(value []byte, keep func(string) bool) []byte {
	const size = int(unsafe.Sizeof(C.cl_name_version{}))
	var kept []byte
	for ; len(value) >= size; value = value[size:] {
		name, _, _ := bytes.Cut(value[4:size], []byte{0})
		if keep(string(name)) {
			kept = append(kept, value[:size]...)
		}
	}
	return kept
}
