//! Forms in, XML out.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use shape::{BLOB, BOOLEAN, INTEGER, Member, Protocol, STRING, TIMESTAMP};

use super::*;

static NAMES: Schema = Schema::list("Names", &STRING);
static PORTS: Schema = Schema::list("Ports", &INTEGER).flattened().element("Port");
static TAG: Schema = Schema::structure("Tag", &[Member::new("Key", &STRING), Member::new("Value", &STRING)]);
static TAGS: Schema = Schema::list("Tags", &TAG);
static MAP: Schema = Schema::map("Attributes", &STRING, &STRING);
static FLAT_MAP: Schema = Schema::map("Flat", &STRING, &INTEGER).flattened().entry("Name", "Count");
static INPUT: Schema = Schema::structure(
    "Input",
    &[
        Member::new("Text", &STRING),
        Member::new("Flag", &BOOLEAN),
        Member::new("Number", &INTEGER),
        Member::new("At", &TIMESTAMP),
        Member::new("Bytes", &BLOB),
        Member::new("Names", &NAMES),
        Member::new("Ports", &PORTS),
        Member::new("Tags", &TAGS),
        Member::new("Attributes", &MAP),
        Member::new("Flat", &FLAT_MAP),
        Member::new("Nested", &INPUT).location_name("Inner"),
    ],
);
static OPERATION: Operation = Operation {
    name: "Echo",
    http_method: "POST",
    http_uri: "/",
    http_status: 200,
    input: &INPUT,
    output: &INPUT,
    result_wrapper: Some("EchoResult"),
    errors: &[],
};
static MODEL: ServiceModel = ServiceModel {
    name: "echo",
    service_id: "Echo",
    protocol: Protocol::AwsQuery,
    json_version: "",
    target_prefix: "",
    endpoint_prefix: "echo",
    signing_name: "echo",
    api_version: "2011-06-15",
    xml_namespace: "https://echo.amazonaws.com/doc/2011-06-15/",
    operations: &[&OPERATION],
    unserved: &[],
};

fn read(form: &str) -> Result<Document, WireError> {
    AwsQuery.input(&OPERATION, &Incoming { form: Form::parse(&[form.as_bytes()]), ..Incoming::default() })
}

/// Reads a form and writes what was read.
fn check(form: &str, expected: Expect) {
    let text = match read(form) {
        Ok(document) => AwsQuery.output(&MODEL, &OPERATION, &document, "id").body,
        Err(error) => AwsQuery.error(Some(&MODEL), &error, "id").body,
    };
    expected.assert_eq(&String::from_utf8(text).unwrap());
}

#[test]
fn scalars() {
    check(
        "Text=a+b%26%3Cc%3E&Flag=true&Number=-7&At=2026-11-23T13:15:34Z&Bytes=aGk%3D&Unknown=1&Inner.Text=in",
        expect![[r#"
            <EchoResponse xmlns="https://echo.amazonaws.com/doc/2011-06-15/">
              <EchoResult>
                <Text>a b&amp;&lt;c&gt;</Text>
                <Flag>true</Flag>
                <Number>-7</Number>
                <At>2026-11-23T13:15:34.000Z</At>
                <Bytes>aGk=</Bytes>
                <Inner>
                  <Text>in</Text>
                </Inner>
              </EchoResult>
              <ResponseMetadata>
                <RequestId>id</RequestId>
              </ResponseMetadata>
            </EchoResponse>
        "#]],
    );
}

#[test]
fn lists_and_maps() {
    check(
        "Names.member.2=b&Names.member.1=a&Names.member.10=c&Port.1=80&Port.2=443&Tags.member.1.Key=k\
         &Tags.member.1.Value=v&Attributes.entry.1.key=x&Attributes.entry.1.value=y&Flat.1.Name=n&Flat.1.Count=3",
        expect![[r#"
            <EchoResponse xmlns="https://echo.amazonaws.com/doc/2011-06-15/">
              <EchoResult>
                <Names>
                  <member>a</member>
                  <member>b</member>
                  <member>c</member>
                </Names>
                <Port>80</Port>
                <Port>443</Port>
                <Tags>
                  <member>
                    <Key>k</Key>
                    <Value>v</Value>
                  </member>
                </Tags>
                <Attributes>
                  <entry>
                    <key>x</key>
                    <value>y</value>
                  </entry>
                </Attributes>
                <Flat>
                  <Name>n</Name>
                  <Count>3</Count>
                </Flat>
              </EchoResult>
              <ResponseMetadata>
                <RequestId>id</RequestId>
              </ResponseMetadata>
            </EchoResponse>
        "#]],
    );
}

#[test]
fn an_empty_list_is_not_an_absent_list() {
    check(
        "Names=",
        expect![[r#"
        <EchoResponse xmlns="https://echo.amazonaws.com/doc/2011-06-15/">
          <EchoResult>
            <Names/>
          </EchoResult>
          <ResponseMetadata>
            <RequestId>id</RequestId>
          </ResponseMetadata>
        </EchoResponse>
    "#]],
    );
}

#[test]
fn what_does_not_fit() {
    check(
        "Number=seven",
        expect![[r#"
        <ErrorResponse xmlns="https://echo.amazonaws.com/doc/2011-06-15/">
          <Error>
            <Type>Sender</Type>
            <Code>MalformedInput</Code>
            <Message>Invalid value for Number: 'seven' is not an integer</Message>
          </Error>
          <RequestId>id</RequestId>
        </ErrorResponse>
    "#]],
    );
}

#[test]
fn refusals_are_403_where_json_says_400() {
    let status = |code: CommonError| AwsQuery.error(None, &WireError::silent(*code.facts()), "id").status.as_u16();
    assert_eq!(status(CommonError::AccessDeniedException), 403);
    assert_eq!(status(CommonError::UnrecognizedClientException), 403);
    assert_eq!(status(CommonError::SerializationException), 400);
    assert_eq!(status(CommonError::InternalFailure), 500);
}

#[test]
fn a_bottomless_form_is_refused() {
    let form = format!("{}Text=x", "Inner.".repeat(10_000));
    assert!(read(&form).is_err());
}

proptest! {
    #[test]
    fn no_form_panics(form in "((Inner|Names|Tags|member|entry|key|Flat|Number|[0-9]|%[0-9A-F]{2}|[.=&+])){0,30}") {
        _ = read(&form);
    }
}
