package client

import (
	"time"

	"sluice/broker/device"
	"sluice/broker/lease"
	pb "sluice/proto/gen/broker"
)

func deviceFromProto(d *pb.Device) DeviceStatus {
	return DeviceStatus{
		Device: device.Device{
			ID: d.GetId(), Name: d.GetName(), Vendor: d.GetVendor(), Platform: d.GetPlatform(),
			DriverVersion: d.GetDriverVersion(), API: d.GetApi(), Kind: device.Kind(d.GetKind()),
			MemoryBytes: d.GetMemoryBytes(), MaxAllocBytes: d.GetMaxAllocBytes(), ComputeUnits: int(d.GetComputeUnits()),
			PlatformIndex: int(d.GetPlatformIndex()), DeviceIndex: int(d.GetDeviceIndex()),
		},
		FreeMemoryBytes:  d.GetFreeMemoryBytes(),
		FreeComputeMilli: int(d.GetFreeComputeMilli()),
	}
}

func leaseFromProto(l *pb.Lease) lease.Lease {
	made := lease.Lease{
		ID: l.GetId(), Tenant: l.GetTenant(), Holder: l.GetHolder(), Token: l.GetToken(),
		GrantedAt: time.UnixMilli(l.GetGrantedAtUnixMs()), ExpiresAt: time.UnixMilli(l.GetExpiresAtUnixMs()),
	}
	for _, s := range l.GetSlices() {
		made.Slices = append(made.Slices, device.Slice{
			DeviceID: s.GetDeviceId(), MemoryBytes: s.GetMemoryBytes(),
			ComputeMilli: int(s.GetComputeMilli()), Keeper: device.Keeper(s.GetKeeper()),
		})
	}
	return made
}

func slicesToProto(slices []device.Slice) []*pb.Slice {
	var made []*pb.Slice
	for _, s := range slices {
		made = append(made, &pb.Slice{
			DeviceId: s.DeviceID, MemoryBytes: s.MemoryBytes,
			ComputeMilli: int32(s.ComputeMilli), Keeper: string(s.Keeper),
		})
	}
	return made
}
