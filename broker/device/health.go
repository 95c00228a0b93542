package device

import (
	"fmt"
	"time"
)

// HealthKind says what a device's management library reports.
type HealthKind string

// The kinds of HealthEvent.
const (
	HealthXID          HealthKind = "xid"             // NVIDIA's driver reports an error; Code is its number
	HealthECCCorrected HealthKind = "ecc_corrected"   // memory had a flipped bit, which was corrected
	HealthECCFatal     HealthKind = "ecc_uncorrected" // memory had flipped bits that could not be corrected
	HealthLost         HealthKind = "lost"            // the device does not answer any more
)

// HealthEvent is one report about a device.
type HealthEvent struct {
	UUID string     `json:"uuid"` // Device.UUID
	Kind HealthKind `json:"kind"`
	Code uint64     `json:"code"` // of HealthXID
	// Fatal says that the device can do no work until somebody has looked after it; otherwise a program may be at fault.
	Fatal bool      `json:"fatal"`
	At    time.Time `json:"at"`
}

// Validate reports what is wrong with an event that a worker sent; the error wraps ErrInvalid.
func (e HealthEvent) Validate() error {
	switch e.Kind {
	case HealthXID, HealthECCCorrected, HealthECCFatal, HealthLost:
	default:
		return fmt.Errorf("%w: health event of kind %.40q", ErrInvalid, e.Kind)
	}
	if e.UUID == "" || len(e.UUID) > uuidBytesMax {
		return fmt.Errorf("%w: health event: uuid has %d bytes, must be 1 to %d", ErrInvalid, len(e.UUID), uuidBytesMax)
	}
	return nil
}
