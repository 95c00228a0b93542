package store

import "time"

// What function.yaml's apiVersion and kind must say.
const (
	FunctionAPIVersion = "sluice/v1"
	FunctionKind       = "Function"
)

// DeviceAPIOpenCL is the API of a device that a function may ask for.
const DeviceAPIOpenCL = "opencl"

// Policies by which requests are joined.
const (
	BatchAdaptive = "adaptive" // so that as many as possible meet their deadline, by what was learned of their duration
	BatchWindow   = "window"   // until a batch is full or one of its requests has waited max_wait_ms
	BatchNone     = "none"     // each request alone
)

// Limits of function.yaml, checked by ParseFunction.
const (
	MaxFunctionYAMLBytes = 64 << 10
	maxYAMLDepth         = 8

	MaxImageBytes       = 255
	MaxCommandArguments = 64
	MaxArgumentBytes    = 4096
	MaxEnvEntries       = 128
	MaxEnvNameBytes     = 128
	MaxEnvValueBytes    = 16 << 10

	MinCPUMilli            = 10
	MaxCPUMilli            = 1024 * 1000
	MinMemoryBytes         = 8 << 20
	MaxMemoryBytes         = 64 << 40
	MinDeviceMemoryBytes   = 1 << 20
	MaxDevices             = 8 // lease.SlicesMax
	MaxComputeMilli        = 1000
	MaxBatchSize           = 4096
	MaxBatchWait           = 10 * time.Second
	MaxSLO                 = time.Hour
	MaxPadNames            = 64
	MaxPadNameBytes        = 128
	MaxScale               = 256
	MaxScaleIdle           = 24 * time.Hour
	MaxStartTimeout        = time.Hour
	MaxInstanceConcurrency = 256
)

// What ParseFunction puts where function.yaml says nothing.
const (
	DefaultCPUMilli      = 500
	DefaultMemoryBytes   = 256 << 20
	DefaultBatchPolicy   = BatchAdaptive
	DefaultBatchSize     = 1
	DefaultScaleMax      = 1
	DefaultScaleIdle     = 60 * time.Second
	DefaultStartTimeout  = 60 * time.Second
	DefaultConcurrency   = 1
	reservedEnvPrefix    = "SLUICE_"
	reservedEnvOpenCLICD = "OCL_ICD_VENDORS"
)

// FunctionSpec is the content of a function.yaml, checked, with defaults filled in.
type FunctionSpec struct {
	Name        string            `json:"name"`
	Image       string            `json:"image,omitempty"`   // image name in the container runtime; empty: Command alone
	Command     []string          `json:"command,omitempty"` // overrides the image's entry point
	Env         map[string]string `json:"env,omitempty"`
	Port        int               `json:"port,omitempty"` // TCP port the program serves gRPC on; 0: the socket it is given
	Resources   Resources         `json:"resources"`
	Device      *DeviceRequest    `json:"device,omitempty"` // nil: no device
	Batch       Batch             `json:"batch"`
	Scale       Scale             `json:"scale"`
	Concurrency int               `json:"concurrency"` // Batches one Instance runs at once
}

// Resources is what one Instance gets of its node.
type Resources struct {
	CPUMilli    int    `json:"cpu_milli"` // thousandths of a core
	MemoryBytes uint64 `json:"memory_bytes"`
}

// DeviceRequest is what one Instance gets of devices: Slices of one or more of one driver.
type DeviceRequest struct {
	API          string `json:"api"`             // DeviceAPIOpenCL
	MemoryBytes  uint64 `json:"memory_bytes"`    // of each device
	ComputeMilli int    `json:"compute_milli"`   // thousandths of each device; 0 reserves none
	Count        int    `json:"count,omitempty"` // devices; 0 stands for 1
}

// Devices is how many devices are asked for.
func (r DeviceRequest) Devices() int { return max(r.Count, 1) }

// Batch is how requests are joined.
type Batch struct {
	Policy  string        `json:"policy"`        // BatchAdaptive, BatchWindow or BatchNone
	MaxSize int           `json:"max_size"`      // rows of the first dimension; 1: no joining
	MaxWait time.Duration `json:"max_wait_ns"`   // for the first request of a batch
	SLO     time.Duration `json:"slo_ns"`        // from a request's arrival to its deadline, unless it has an earlier one; 0: none
	Pad     []string      `json:"pad,omitempty"` // tensors whose second dimension may differ within a batch
}

// Scale is how many Instances there may be and when.
type Scale struct {
	Min          int           `json:"min"`
	Max          int           `json:"max"`
	Idle         time.Duration `json:"idle_ns"`          // without demand until an Instance above Min is stopped
	StartTimeout time.Duration `json:"start_timeout_ns"` // from the decision to start until ready
}
