package nvml

import (
	"context"
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"sluice/broker/device"
)

// waitMs is how long the library waits before it looks whether the watch is to end.
const waitMs = 1000

const watchedEvents = nvml.EventTypeXidCriticalError | nvml.EventTypeDoubleBitEccError | nvml.EventTypeSingleBitEccError

// programXIDs are the driver's errors that a program causes: the device is as good as before. From NVIDIA's "XID Errors",
// those whose only cause is named as "user application".
var programXIDs = map[uint64]bool{
	13: true, // graphics engine exception
	31: true, // memory page fault
	43: true, // stopped processing
	45: true, // preemptive cleanup
	68: true, // video processor exception
}

// Watch reports what happens to the GPUs until ctx ends, or until report fails. It returns at once when none of them can be
// watched.
func (l *Library) Watch(ctx context.Context, report func(device.HealthEvent) error) error {
	set, result := l.nvml.EventSetCreate()
	if result != nvml.SUCCESS {
		return failed("making an event set", result)
	}
	defer set.Free()
	uuids, err := l.register(set)
	if err != nil || len(uuids) == 0 {
		return err
	}
	for ctx.Err() == nil {
		event, result := set.Wait(waitMs)
		switch result {
		case nvml.ERROR_TIMEOUT:
		case nvml.SUCCESS:
			health, known := translate(event, time.Now())
			if known {
				if err := report(health); err != nil {
					return fmt.Errorf("reporting a GPU's health: %w", err)
				}
			}
		case nvml.ERROR_GPU_IS_LOST:
			return l.reportLost(uuids, report)
		default:
			return failed("waiting for events", result)
		}
	}
	return nil
}

// register asks for the events that each GPU has; it returns the UUIDs of those that have some.
func (l *Library) register(set nvml.EventSet) ([]string, error) {
	count, result := l.nvml.DeviceGetCount()
	if result != nvml.SUCCESS {
		return nil, failed("counting GPUs", result)
	}
	var uuids []string
	for i := range min(count, gpusMax) {
		handle, result := l.nvml.DeviceGetHandleByIndex(i)
		if result != nvml.SUCCESS {
			continue // GPUs has told of it
		}
		supported, result := handle.GetSupportedEventTypes()
		if result != nvml.SUCCESS || supported&watchedEvents == 0 {
			continue
		}
		uuid, result := handle.GetUUID()
		if result != nvml.SUCCESS {
			continue
		}
		if result := handle.RegisterEvents(supported&watchedEvents, set); result != nvml.SUCCESS {
			return nil, failed("watching "+uuid, result)
		}
		uuids = append(uuids, uuid)
	}
	return uuids, nil
}

// translate is false for an event that is none of ours.
func translate(event nvml.EventData, at time.Time) (device.HealthEvent, bool) {
	uuid, result := event.Device.GetUUID()
	if result != nvml.SUCCESS {
		return device.HealthEvent{}, false
	}
	health := device.HealthEvent{UUID: uuid, At: at}
	switch event.EventType {
	case nvml.EventTypeXidCriticalError:
		health.Kind, health.Code, health.Fatal = device.HealthXID, event.EventData, !programXIDs[event.EventData]
	case nvml.EventTypeDoubleBitEccError:
		health.Kind, health.Fatal = device.HealthECCFatal, true
	case nvml.EventTypeSingleBitEccError:
		health.Kind = device.HealthECCCorrected
	default:
		return health, false
	}
	return health, true
}

// reportLost finds out which GPUs do not answer: the library says only that one does not.
func (l *Library) reportLost(uuids []string, report func(device.HealthEvent) error) error {
	for _, uuid := range uuids {
		if _, result := l.nvml.DeviceGetHandleByUUID(uuid); result == nvml.SUCCESS {
			continue
		}
		if err := report(device.HealthEvent{UUID: uuid, Kind: device.HealthLost, Fatal: true, At: time.Now()}); err != nil {
			return fmt.Errorf("reporting a GPU's health: %w", err)
		}
	}
	return failed("waiting for events", nvml.ERROR_GPU_IS_LOST)
}
