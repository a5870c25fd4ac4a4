package cloudtrail

import "strings"

// field numbers the top-level keys that have a slot of their own in an Event:
// the fields of a CloudTrail record, and the keys by which envelopes are told
// apart. Every other key is fieldOther and is kept in a list.
type field uint8

const (
	fieldOther field = iota
	fieldAdditionalEventData
	fieldAPIVersion
	fieldAWSRegion
	fieldErrorCode
	fieldErrorMessage
	fieldEventCategory
	fieldEventID
	fieldEventName
	fieldEventSource
	fieldEventTime
	fieldEventType
	fieldEventVersion
	fieldInsightDetails
	fieldManagementEvent
	fieldReadOnly
	fieldRecipientAccountID
	fieldRequestID
	fieldRequestParameters
	fieldResources
	fieldResponseElements
	fieldServiceEventDetails
	fieldSharedEventID
	fieldSourceIPAddress
	fieldTLSDetails
	fieldUserAgent
	fieldUserIdentity
	fieldVPCEndpointID

	fieldBody
	fieldDetail
	fieldDetailType
	fieldDigestEndTime
	fieldDigestS3Object
	fieldDigestStartTime
	fieldEvent
	fieldLogEvents
	fieldMessageType
	fieldReceiptHandle
	fieldRecords
	fieldS3Object // CloudTrail's own notice: s3ObjectKey
	fieldSNS
	fieldType

	fieldCount
)

// The set of fields that were passed is one word.
const _ = uint(64 - fieldCount)

// fieldOf returns the slot of an unescaped top-level key.
func fieldOf[T string | []byte](key T) field {
	switch string(key) {
	case "additionalEventData":
		return fieldAdditionalEventData
	case "apiVersion":
		return fieldAPIVersion
	case "awsRegion":
		return fieldAWSRegion
	case "errorCode":
		return fieldErrorCode
	case "errorMessage":
		return fieldErrorMessage
	case "eventCategory":
		return fieldEventCategory
	case "eventID":
		return fieldEventID
	case "eventName":
		return fieldEventName
	case "eventSource":
		return fieldEventSource
	case "eventTime":
		return fieldEventTime
	case "eventType":
		return fieldEventType
	case "eventVersion":
		return fieldEventVersion
	case "insightDetails":
		return fieldInsightDetails
	case "managementEvent":
		return fieldManagementEvent
	case "readOnly":
		return fieldReadOnly
	case "recipientAccountId":
		return fieldRecipientAccountID
	case "requestID":
		return fieldRequestID
	case "requestParameters":
		return fieldRequestParameters
	case "resources":
		return fieldResources
	case "responseElements":
		return fieldResponseElements
	case "serviceEventDetails":
		return fieldServiceEventDetails
	case "sharedEventID":
		return fieldSharedEventID
	case "sourceIPAddress":
		return fieldSourceIPAddress
	case "tlsDetails":
		return fieldTLSDetails
	case "userAgent":
		return fieldUserAgent
	case "userIdentity":
		return fieldUserIdentity
	case "vpcEndpointId":
		return fieldVPCEndpointID
	case "body":
		return fieldBody
	case "detail":
		return fieldDetail
	case "detail-type":
		return fieldDetailType
	case "digestEndTime":
		return fieldDigestEndTime
	case "digestS3Object":
		return fieldDigestS3Object
	case "digestStartTime":
		return fieldDigestStartTime
	case "Event":
		return fieldEvent
	case "logEvents":
		return fieldLogEvents
	case "messageType":
		return fieldMessageType
	case "receiptHandle":
		return fieldReceiptHandle
	case "Records":
		return fieldRecords
	case "s3ObjectKey":
		return fieldS3Object
	case "Sns":
		return fieldSNS
	case "Type":
		return fieldType
	}
	return fieldOther
}

// fieldKeys are the keys as they are written, up to the value.
var fieldKeys = [fieldCount]string{
	fieldAdditionalEventData: `"additionalEventData":`,
	fieldAPIVersion:          `"apiVersion":`,
	fieldAWSRegion:           `"awsRegion":`,
	fieldErrorCode:           `"errorCode":`,
	fieldErrorMessage:        `"errorMessage":`,
	fieldEventCategory:       `"eventCategory":`,
	fieldEventID:             `"eventID":`,
	fieldEventName:           `"eventName":`,
	fieldEventSource:         `"eventSource":`,
	fieldEventTime:           `"eventTime":`,
	fieldEventType:           `"eventType":`,
	fieldEventVersion:        `"eventVersion":`,
	fieldInsightDetails:      `"insightDetails":`,
	fieldManagementEvent:     `"managementEvent":`,
	fieldReadOnly:            `"readOnly":`,
	fieldRecipientAccountID:  `"recipientAccountId":`,
	fieldRequestID:           `"requestID":`,
	fieldRequestParameters:   `"requestParameters":`,
	fieldResources:           `"resources":`,
	fieldResponseElements:    `"responseElements":`,
	fieldServiceEventDetails: `"serviceEventDetails":`,
	fieldSharedEventID:       `"sharedEventID":`,
	fieldSourceIPAddress:     `"sourceIPAddress":`,
	fieldTLSDetails:          `"tlsDetails":`,
	fieldUserAgent:           `"userAgent":`,
	fieldUserIdentity:        `"userIdentity":`,
	fieldVPCEndpointID:       `"vpcEndpointId":`,
	fieldBody:                `"body":`,
	fieldDetail:              `"detail":`,
	fieldDetailType:          `"detail-type":`,
	fieldDigestEndTime:       `"digestEndTime":`,
	fieldDigestS3Object:      `"digestS3Object":`,
	fieldDigestStartTime:     `"digestStartTime":`,
	fieldEvent:               `"Event":`,
	fieldLogEvents:           `"logEvents":`,
	fieldMessageType:         `"messageType":`,
	fieldReceiptHandle:       `"receiptHandle":`,
	fieldRecords:             `"Records":`,
	fieldS3Object:            `"s3ObjectKey":`,
	fieldSNS:                 `"Sns":`,
	fieldType:                `"Type":`,
}

// quotedKeys are the keys as they are written inside a JSON string.
var quotedKeys = func() (keys [fieldCount]string) {
	for f, key := range fieldKeys {
		keys[f] = strings.ReplaceAll(key, `"`, `\"`)
	}
	return keys
}()
