package nvml

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/gpus"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/server"

	"sluice/broker/device"
)

// This host has no driver of NVIDIA's; the real library says so, and nothing is printed or fails.
func TestNoLibrary(t *testing.T) {
	if found, _ := filepath.Glob("/usr/lib/*/libnvidia-ml.so.1"); len(found) > 0 {
		t.Skip("this host has the library")
	}
	if _, err := Open(); !errors.Is(err, ErrNoLibrary) {
		t.Errorf("error %v, want that there is no library", err)
	}
}

// machine is a library with two A100 at places of their own.
func machine(t *testing.T) (*Library, *server.Server) {
	t.Helper()
	made, err := server.New(server.WithGPUs(gpus.Multiple(2, gpus.A100_SXM4_40GB)...))
	if err != nil {
		t.Fatal(err)
	}
	places := t.TempDir()
	for i, numaNode := range []string{"1\n", "-1\n"} {
		handle := mockDevice(t, made, i)
		handle.GetPciInfoFunc = func() (nvml.PciInfo, nvml.Return) {
			return nvml.PciInfo{Domain: 1, Bus: 0x3b + uint32(i), Device: 0}, nvml.SUCCESS
		}
		folder := filepath.Join(places, fmt.Sprintf("0001:%02x:00.0", 0x3b+i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "numa_node"), []byte(numaNode), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	library, err := open(made, places)
	if err != nil {
		t.Fatal(err)
	}
	return library, made
}

func mockDevice(t *testing.T, made *server.Server, index int) *server.Device {
	t.Helper()
	handle, isMock := made.Devices[index].(*server.Device)
	if !isMock {
		t.Fatalf("device %d is a %T", index, made.Devices[index])
	}
	return handle
}

func TestGPUs(t *testing.T) {
	library, made := machine(t)
	partitioned := mockDevice(t, made, 0)
	if _, result := partitioned.SetMigMode(nvml.DEVICE_MIG_ENABLE); result != nvml.SUCCESS {
		t.Fatal(result)
	}
	for _, want := range []struct {
		profile     int
		start, size uint32
	}{{nvml.GPU_INSTANCE_PROFILE_3_SLICE, 0, 4}, {nvml.GPU_INSTANCE_PROFILE_1_SLICE, 6, 1}} {
		info, result := partitioned.GetGpuInstanceProfileInfo(want.profile)
		if result != nvml.SUCCESS {
			t.Fatal(result)
		}
		placement := nvml.GpuInstancePlacement{Start: want.start, Size: want.size}
		if _, result := partitioned.CreateGpuInstanceWithPlacement(&info, &placement); result != nvml.SUCCESS {
			t.Fatal(result)
		}
	}
	// A GPU without MIG says so by an error.
	mockDevice(t, made, 1).GetMigModeFunc = func() (int, int, nvml.Return) { return 0, 0, nvml.ERROR_NOT_SUPPORTED }

	found, notes, err := library.GPUs()
	if err != nil || len(notes) > 0 || len(found) != 2 {
		t.Fatalf("%d GPUs, notes %q, error %v", len(found), notes, err)
	}
	first, second := found[0], found[1]
	if !strings.HasPrefix(first.UUID, "GPU-") || first.UUID == second.UUID || first.PCIBusID != "0001:3b:00.0" || second.PCIBusID != "0001:3c:00.0" {
		t.Errorf("identities %+v, %+v", first, second)
	}
	if first.MemoryBytes < 39<<30 || !strings.Contains(first.Name, "A100") {
		t.Errorf("first is %+v", first)
	}
	if first.NUMANode == nil || *first.NUMANode != 1 || second.NUMANode != nil {
		t.Errorf("NUMA nodes %v, %v", first.NUMANode, second.NUMANode)
	}
	if second.MIG != nil {
		t.Errorf("the second can be partitioned: %+v", second.MIG)
	}
	if first.MIG == nil || !first.MIG.Enabled {
		t.Fatalf("the first's MIG: %+v", first.MIG)
	}
	slices.SortFunc(first.MIG.Partitions, func(a, b device.Partition) int { return a.MemoryStart - b.MemoryStart })
	want := []device.Partition{
		{MemoryBytes: 19968 << 20, ComputeSlices: 3, MemoryStart: 0, MemorySlices: 4},
		{MemoryBytes: 4864 << 20, ComputeSlices: 1, MemoryStart: 6, MemorySlices: 1},
	}
	for i, p := range first.MIG.Partitions {
		p.ID = 0
		if i >= len(want) || p != want[i] {
			t.Errorf("partition %d is %+v", i, p)
		}
	}
	if len(first.MIG.Partitions) != len(want) {
		t.Errorf("%d partitions, want %d", len(first.MIG.Partitions), len(want))
	}
}

// A GPU that fails costs a note, not the others.
func TestOneGPUFails(t *testing.T) {
	library, made := machine(t)
	mockDevice(t, made, 0).GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST }
	found, notes, err := library.GPUs()
	if err != nil || len(found) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "GPU 0: NVML: its memory") {
		t.Errorf("%d GPUs, notes %q, error %v", len(found), notes, err)
	}
}

func TestOpenFailures(t *testing.T) {
	for result, absent := range map[nvml.Return]bool{
		nvml.ERROR_LIBRARY_NOT_FOUND: true, nvml.ERROR_DRIVER_NOT_LOADED: true, nvml.ERROR_NO_PERMISSION: false,
	} {
		_, err := open(&mock.Interface{InitFunc: func() nvml.Return { return result }}, "")
		if err == nil || errors.Is(err, ErrNoLibrary) != absent {
			t.Errorf("%v: %v", result, err)
		}
	}
}

func TestMatch(t *testing.T) {
	node := 1
	gpus := []GPU{
		{UUID: "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c", PCIBusID: "0000:3b:00.0", NUMANode: &node, MIG: &device.MIG{}},
		{UUID: "GPU-5cf8db2d-06c0-7d70-1a51-e59b25b2c16c", PCIBusID: "0000:af:00.0"},
		{UUID: "GPU-6cf8db2d-06c0-7d70-1a51-e59b25b2c16c", PCIBusID: "0000:d8:00.0", Name: "unused"},
	}
	devices := []device.Device{
		{ID: "place", Kind: device.KindGPU, PCIBusID: "0000:AF:00.0"},
		{ID: "uuid", Kind: device.KindGPU, UUID: "4CF8DB2D-06c0-7d70-1a51-e59b25b2c16c", PCIBusID: "0000:af:00.0"},
		{ID: "cpu", Kind: device.KindCPU, PCIBusID: "0000:d8:00.0"},
		{ID: "nowhere", Kind: device.KindGPU},
	}
	notes := Match(devices, gpus)
	if devices[0].UUID != gpus[1].UUID || devices[1].UUID != gpus[0].UUID || devices[1].PCIBusID != gpus[0].PCIBusID ||
		devices[1].NUMANode != &node || devices[1].MIG != gpus[0].MIG {
		t.Errorf("matched %+v", devices[:2])
	}
	if devices[2].UUID != "" || devices[3].UUID != "" {
		t.Errorf("matched what is no GPU of these: %+v", devices[2:])
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "0000:d8:00.0") {
		t.Errorf("notes %q", notes)
	}
}

// step is one answer of the library to a wait for events.
type step struct {
	event  nvml.EventData
	result nvml.Return
}

// watched gives the first GPU of a machine events, and plays them; the context ends after the last.
func watched(t *testing.T, steps ...step) (*Library, context.Context) {
	t.Helper()
	library, made := machine(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	set := &mock.EventSet{FreeFunc: func() nvml.Return { return nvml.SUCCESS }}
	set.WaitFunc = func(uint32) (nvml.EventData, nvml.Return) {
		if len(steps) == 0 {
			cancel()
			return nvml.EventData{}, nvml.ERROR_TIMEOUT
		}
		next := steps[0]
		steps = steps[1:]
		return next.event, next.result
	}
	made.EventSetCreateFunc = func() (nvml.EventSet, nvml.Return) { return set, nvml.SUCCESS }
	for i, supported := range []uint64{watchedEvents, 0} {
		handle := mockDevice(t, made, i)
		handle.GetSupportedEventTypesFunc = func() (uint64, nvml.Return) { return supported, nvml.SUCCESS }
		handle.RegisterEventsFunc = func(events uint64, _ nvml.EventSet) nvml.Return {
			if events != watchedEvents || i != 0 {
				t.Errorf("GPU %d is asked for events %x", i, events)
			}
			return nvml.SUCCESS
		}
	}
	for i := range steps {
		steps[i].event.Device = made.Devices[0]
	}
	return library, ctx
}

func TestWatch(t *testing.T) {
	library, ctx := watched(t,
		step{nvml.EventData{EventType: nvml.EventTypeXidCriticalError, EventData: 79}, nvml.SUCCESS},
		step{nvml.EventData{}, nvml.ERROR_TIMEOUT},
		step{nvml.EventData{EventType: nvml.EventTypeXidCriticalError, EventData: 31}, nvml.SUCCESS},
		step{nvml.EventData{EventType: nvml.EventTypeSingleBitEccError}, nvml.SUCCESS},
		step{nvml.EventData{EventType: nvml.EventTypeClock}, nvml.SUCCESS},
		step{nvml.EventData{EventType: nvml.EventTypeDoubleBitEccError}, nvml.SUCCESS},
	)
	var seen []string
	err := library.Watch(ctx, func(e device.HealthEvent) error {
		if err := e.Validate(); err != nil || e.At.IsZero() {
			t.Errorf("event %+v: %v", e, err)
		}
		seen = append(seen, fmt.Sprintf("%s %d %v", e.Kind, e.Code, e.Fatal))
		return nil
	})
	want := []string{"xid 79 true", "xid 31 false", "ecc_corrected 0 false", "ecc_uncorrected 0 true"}
	if err != nil || !slices.Equal(seen, want) {
		t.Errorf("saw %q, %v, want %q", seen, err, want)
	}
}

// A lost GPU is named; the watch ends, since the library tells nothing more.
func TestWatchOfALostGPU(t *testing.T) {
	library, ctx := watched(t, step{nvml.EventData{}, nvml.ERROR_GPU_IS_LOST})
	made, isMock := library.nvml.(*server.Server)
	if !isMock {
		t.Fatal("no mock")
	}
	made.DeviceGetHandleByUUIDFunc = func(string) (nvml.Device, nvml.Return) { return nil, nvml.ERROR_GPU_IS_LOST }
	var seen []device.HealthEvent
	err := library.Watch(ctx, func(e device.HealthEvent) error {
		seen = append(seen, e)
		return nil
	})
	if err == nil || len(seen) != 1 || seen[0].Kind != device.HealthLost || !seen[0].Fatal {
		t.Errorf("saw %+v, %v", seen, err)
	}
}

// Who cannot be told ends the watch.
func TestWatchEndsWithItsReader(t *testing.T) {
	gone := errors.New("reader is gone")
	library, ctx := watched(t, step{nvml.EventData{EventType: nvml.EventTypeDoubleBitEccError}, nvml.SUCCESS})
	if err := library.Watch(ctx, func(device.HealthEvent) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("ended with %v", err)
	}
}
