package main

import (
	"errors"
	"net/http"

	commonpb "go.temporal.io/api/common/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/converter"
)

// largeValues reads what TooLoo keeps outside of Temporal's history: an input over 4 KiB arrives as a reference.
type largeValues struct{ codec converter.PayloadCodec }

// The key is an admin's; on TooLoo's own machine none is needed.
func newLargeValues(url, key string) largeValues {
	authorize := func(request *http.Request) error {
		if key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		return nil
	}
	options := converter.RemotePayloadCodecOptions{Endpoint: url + "/codec", ModifyRequest: authorize}
	return largeValues{converter.NewRemotePayloadCodec(options)}
}

// Name is the one in TooLoo's references.
func (largeValues) Name() string { return "tooloo-postgres" }

func (largeValues) Type() string { return "tooloo" }

func (values largeValues) Retrieve(
	_ converter.StorageDriverRetrieveContext, claims []converter.StorageDriverClaim,
) ([]*commonpb.Payload, error) {
	references := make([]*commonpb.Payload, len(claims))
	for i, claim := range claims {
		reference := &sdkpb.ExternalStorageReference{DriverName: values.Name(), ClaimData: claim.ClaimData}
		var err error
		if references[i], err = converter.NewProtoJSONPayloadConverter().ToPayload(reference); err != nil {
			return nil, err
		}
	}
	return values.codec.Decode(references)
}

func (largeValues) Store(
	converter.StorageDriverStoreContext, []*commonpb.Payload,
) ([]converter.StorageDriverClaim, error) {
	return nil, errors.New("results are sent as they are: TooLoo checks them, and then moves large ones away itself")
}
