package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
)

// Snapshotters are tried in this order: overlayfs shares an image's files among its containers, native copies them but works on
// every file system.
var Snapshotters = []string{"overlayfs", "native"}

// Imported is an image that containers can be made of.
type Imported struct {
	Name        string
	Digest      digest.Digest
	Pinned      string // a second name, by digest: it still means this image when Name is imported anew
	Snapshotter string
}

// Import loads an archive with exactly one named image and unpacks it. The client's default namespace is where it goes.
func Import(ctx context.Context, client *containerd.Client, archive io.Reader) (Imported, error) {
	loaded, err := client.Import(ctx, archive)
	if err != nil {
		return Imported{}, fmt.Errorf("import image: %w", err)
	}
	if len(loaded) != 1 {
		return Imported{}, fmt.Errorf("import image: %w: the archive has %d named images, must have 1", ErrInvalid, len(loaded))
	}
	return finish(ctx, client, loaded[0])
}

// finish unpacks an image that containerd has, and gives it its second name.
func finish(ctx context.Context, client *containerd.Client, image images.Image) (Imported, error) {
	made := Imported{Name: image.Name, Digest: image.Target.Digest, Pinned: pinned(image.Name, image.Target.Digest)}
	var err error
	if made.Snapshotter, err = Unpack(ctx, containerd.NewImage(client, image)); err != nil {
		return Imported{}, err
	}
	image.Name = made.Pinned
	if _, err := client.ImageService().Create(ctx, image); err != nil && !errdefs.IsAlreadyExists(err) {
		return Imported{}, fmt.Errorf("name image %s: %w", made.Pinned, err)
	}
	return made, nil
}

// pinned replaces the tag by the digest.
func pinned(name string, d digest.Digest) string {
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name + "@" + d.String()
}

// Unpack makes sure that the image is unpacked, and says with which snapshotter.
func Unpack(ctx context.Context, image containerd.Image) (string, error) {
	for _, snapshotter := range Snapshotters {
		if unpacked, err := image.IsUnpacked(ctx, snapshotter); err == nil && unpacked {
			return snapshotter, nil
		}
	}
	var failures []error
	for _, snapshotter := range Snapshotters {
		err := image.Unpack(ctx, snapshotter)
		if err == nil {
			return snapshotter, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", snapshotter, err))
	}
	return "", fmt.Errorf("unpack image %s: %w", image.Name(), errors.Join(failures...))
}
