package main

import (
	"os"
	"path/filepath"

	"sluice/broker/dispatch"
	"sluice/broker/handover"
	"sluice/broker/worker"
)

// leaseServer serves an assigned Lease through the driver.
type leaseServer struct {
	*dispatch.Lease
}

// openLease opens a Lease whose first Session has a segment that is there already.
func openLease(segment *dispatch.Segment, a handover.Assign, unpacked <-chan struct{}) (worker.Server, error) {
	output, err := dispatch.TakeOutput()
	if err != nil {
		return nil, err
	}
	limits := dispatch.Limits{
		Output: output, Segment: segment, Unpacked: unpacked, HeaderFolder: filepath.Join(os.TempDir(), "headers"), PlatformIndex: a.PlatformIndex,
	}
	for _, d := range a.Devices {
		limits.Devices = append(limits.Devices, dispatch.Device(d))
	}
	opened, err := dispatch.NewLease(limits)
	if err != nil {
		return nil, err
	}
	return leaseServer{opened}, nil
}

// Stats implements worker.Server.
func (s leaseServer) Stats() handover.Stats {
	counted := s.Lease.Stats()
	return handover.Stats{
		Calls: counted.Calls, BytesToDevice: counted.BytesToDevice, BytesFromDevice: counted.BytesFromDevice,
		MemoryBytes: counted.MemoryBytes,
	}
}
