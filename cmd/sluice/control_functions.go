package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"sluice/proto/gen/control"
	"sluice/store"
)

// Deploy keeps the Version first: what was answered survives a crash.
func (s *controlServer) Deploy(ctx context.Context, request *control.DeployRequest) (*control.DeployResponse, error) {
	spec, err := store.ParseFunction(request.GetFunctionYaml())
	if err != nil {
		return nil, toStatus(err)
	}
	if spec.Image != "" && s.images == nil && len(spec.Command) == 0 {
		return nil, toStatus(fmt.Errorf("%w: command: the process sandbox runs no images, so function.yaml needs a command", store.ErrInvalid))
	}
	version, err := s.rollout.deploy(ctx, tenantOf(request.GetTenant()), spec)
	if err != nil {
		return nil, toStatus(err)
	}
	s.log.Info("function deployed", "tenant", version.Tenant, "function", version.Function, "version", version.Number)
	return &control.DeployResponse{Function: s.describe(version)}, nil
}

// ListFunctions shows each Function's newest Version.
func (s *controlServer) ListFunctions(ctx context.Context, request *control.ListFunctionsRequest) (*control.ListFunctionsResponse, error) {
	functions, err := store.LoadAll[store.Function](ctx, s.registry, store.FunctionRecord(tenantOf(request.GetTenant()), ""))
	if err != nil {
		return nil, toStatus(err)
	}
	response := &control.ListFunctionsResponse{}
	for _, f := range functions {
		version, _, err := store.Load[store.Version](ctx, s.registry, store.VersionRecord(f.Tenant, f.Name, f.Latest))
		if err != nil {
			return nil, toStatus(err)
		}
		response.Functions = append(response.Functions, s.describe(version))
	}
	return response, nil
}

// GetFunction tells what a Function's newest Version was deployed with.
func (s *controlServer) GetFunction(ctx context.Context, request *control.GetFunctionRequest) (*control.GetFunctionResponse, error) {
	function, _, err := store.Load[store.Function](ctx, s.registry, store.FunctionRecord(tenantOf(request.GetTenant()), request.GetName()))
	if err != nil {
		return nil, toStatus(err)
	}
	version, _, err := store.Load[store.Version](ctx, s.registry, store.VersionRecord(function.Tenant, function.Name, function.Latest))
	if err != nil {
		return nil, toStatus(err)
	}
	spec, err := store.FormatFunction(version.Spec)
	if err != nil {
		return nil, toStatus(err)
	}
	return &control.GetFunctionResponse{Function: s.describe(version), SpecYaml: spec}, nil
}

// RemoveFunction answers when the store has forgotten the Function; its Instances end soon after.
func (s *controlServer) RemoveFunction(ctx context.Context, request *control.RemoveFunctionRequest) (*control.RemoveFunctionResponse, error) {
	tenant := tenantOf(request.GetTenant())
	if err := s.rollout.remove(ctx, tenant, request.GetName()); err != nil {
		return nil, toStatus(err)
	}
	s.log.Info("function removed", "tenant", tenant, "function", request.GetName())
	return &control.RemoveFunctionResponse{}, nil
}

func (s *controlServer) describe(version store.Version) *control.Function {
	program := version.Spec.Image
	if program == "" {
		program = strings.Join(version.Spec.Command, " ")
	}
	return &control.Function{
		Tenant: version.Tenant, Name: version.Function, Version: version.Number, Program: program,
		DeployedAt: timestamppb.New(version.CreatedAt.Truncate(time.Second)),
		Instances:  int32(s.rollout.instanceCount(version)),
		ScaleMin:   int32(version.Spec.Scale.Min), ScaleMax: int32(version.Spec.Scale.Max),
	}
}
