//! The converters of keys and values, and the registries that know their schemas.
//!
//! In: `key.converter.*`, `value.converter.*`. Out: how the encoder writes, and of a side in Avro whom to ask for ids.
//! Never: an option of a converter that is not there, or one that has none, in silence.
//! Source: Kafka Connect, `JsonConverterConfig`; Confluent documentation, "Kafka Connect: Avro converter" and "Serializer and
//! formatter"; Apicurio Registry documentation, "Kafka Connect converters".

use std::path::PathBuf;

use envelope::{DecimalFormat, EncoderSettings, Encoding, FormatSettings};
use registry::{Ask, Credentials, RegistrySettings};

use super::Note;
use super::keys::Kind;
use super::keys::converters::{AVRO_KEYS, AVRO_VALUES};
use super::problem::Problem;
use super::values::{Choice, Values};

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const CONFLUENT: &str = "io.confluent.connect.avro.AvroConverter";
const APICURIO: &str = "io.apicurio.registry.utils.converter.AvroConverter";
const STRATEGIES: &str = "io.confluent.kafka.serializers.subject.";
/// Options that only a `JsonConverter` has.
const OF_JSON: [&str; 2] = ["schemas.enable", "decimal.format"];

/// How the subject of a schema is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectStrategy {
    /// `TopicNameStrategy`: the topic, and which side of its records.
    Topic,
    /// `RecordNameStrategy`: the schema.
    Record,
    /// `TopicRecordNameStrategy`: both.
    TopicAndRecord,
}

/// Who gives the schemas of one side their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideRegistry {
    /// The registry.
    pub registry: RegistrySettings,
    /// `key.subject.name.strategy` or `value.subject.name.strategy`.
    pub subjects: SubjectStrategy,
}

/// The registries of the sides that are written in Avro.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaRegistries {
    /// Of keys.
    pub key: Option<SideRegistry>,
    /// Of values.
    pub value: Option<SideRegistry>,
}

impl SchemaRegistries {
    /// Reads both converters.
    pub(super) fn read(
        values: &mut Values<'_>,
        encoder: &mut EncoderSettings,
        notes: &mut Vec<Note>,
    ) -> Self {
        let key = Side { name: "key" }.read(values, &mut encoder.key, notes);
        let value = Side { name: "value" }.read(values, &mut encoder.value, notes);
        Self { key, value }
    }
}

/// One of the sides of a record.
#[derive(Clone, Copy)]
struct Side {
    name: &'static str,
}

impl Side {
    fn key(self, option: &str) -> String {
        format!("{}.converter.{option}", self.name)
    }

    fn read(
        self,
        values: &mut Values<'_>,
        format: &mut FormatSettings,
        notes: &mut Vec<Note>,
    ) -> Option<SideRegistry> {
        let class_key = format!("{}.converter", self.name);
        let class = values.text(&class_key).unwrap_or_default();
        // Connect finds a converter by its full name, its simple name, or that without `Converter`; two have one simple name.
        match class {
            JSON | "JsonConverter" | "Json" => {
                *format = self.json(values);
                self.refuse_avro_options(values);
                None
            }
            CONFLUENT | APICURIO => {
                *format = self.avro(values, notes);
                Some(self.registry(values, class == APICURIO))
            }
            _ => {
                values.problems.push(Problem::new(
                    "CF004",
                    &class_key,
                    format!("converter `{class}` is not supported yet"),
                    format!("write `{JSON}` or `{CONFLUENT}`"),
                ));
                None
            }
        }
    }

    fn json(self, values: &mut Values<'_>) -> FormatSettings {
        FormatSettings {
            encoding: Encoding::Json,
            schemas_enable: values.flag(&self.key("schemas.enable")),
            replace_null_with_default: values.flag(&self.key("replace.null.with.default")),
            decimal_format: values.choice(
                &self.key("decimal.format"),
                &[
                    ("BASE64", Choice::Is(DecimalFormat::Base64)),
                    ("NUMERIC", Choice::Is(DecimalFormat::Numeric)),
                ],
                DecimalFormat::Base64,
            ),
        }
    }

    fn avro(self, values: &mut Values<'_>, notes: &mut Vec<Note>) -> FormatSettings {
        for option in OF_JSON {
            let key = self.key(option);
            if values.given(&key).is_some() {
                let reason = "AvroConverter has no such option".to_owned();
                notes.push(Note { key, reason });
            }
        }
        let ignore = self.key("ignore.default.for.nullables");
        let replace = self.key("replace.null.with.default");
        let replace_null_with_default =
            if values.given(&ignore).is_none() && values.given(&replace).is_some() {
                values.flag(&replace)
            } else {
                !values.flag(&ignore)
            };
        let meta_data = values.flag(&self.key("connect.meta.data"));
        FormatSettings {
            encoding: Encoding::Avro { meta_data },
            replace_null_with_default,
            ..FormatSettings::avro()
        }
    }

    /// An option of Avro says that Avro was meant.
    fn refuse_avro_options(self, values: &mut Values<'_>) {
        let section = if self.name == "key" { AVRO_KEYS } else { AVRO_VALUES };
        for key in section.iter().filter(|key| matches!(key.kind, Kind::Supported(_))) {
            if values.given(key.name).is_some() {
                values.problems.push(Problem::new(
                    "CF006",
                    key.name,
                    format!("`{}.converter` is JsonConverter, which has no such option", self.name),
                    format!("set `{}.converter={CONFLUENT}`, or remove the option", self.name),
                ));
            }
        }
    }

    fn registry(self, values: &mut Values<'_>, is_apicurio: bool) -> SideRegistry {
        if is_apicurio {
            self.expect_form_of_confluent(values);
        }
        let (urls, in_url) = self.urls(values, is_apicurio);
        let credentials = self.credentials(values, in_url);
        self.trust_store_type(values);
        let trusted = values.given(&self.key("schema.registry.ssl.truststore.location"));
        let registers = if is_apicurio {
            values.flag(&self.key("apicurio.registry.auto-register"))
        } else {
            values.flag(&self.key("auto.register.schemas"))
        };
        let latest = values.flag(&self.key("use.latest.version"));
        let ask = match (registers, latest) {
            (true, _) => Ask::Register,
            (false, true) => Ask::Latest,
            (false, false) => Ask::Find,
        };
        if registers && latest {
            values.problems.push(Problem::new(
                "CF006",
                &self.key("use.latest.version"),
                "it has no effect while `auto.register.schemas` is true",
                format!("set `{}=false`, or remove it", self.key("auto.register.schemas")),
            ));
        }
        let registry = RegistrySettings {
            urls,
            credentials,
            trusted: trusted.map(PathBuf::from),
            ask,
            normalize: values.flag(&self.key("normalize.schemas")),
        };
        SideRegistry { registry, subjects: self.strategy(values) }
    }

    /// Apicurio's converter writes other records unless it is told otherwise.
    fn expect_form_of_confluent(self, values: &mut Values<'_>) {
        let as_confluent = self.key("apicurio.registry.as-confluent");
        if !values.flag(&as_confluent) {
            values.problems.push(Problem::new(
                "CF004",
                &as_confluent,
                "the form of Apicurio's own, with eight bytes of id, is not supported yet",
                "write `true`",
            ));
        }
        let headers = self.key("apicurio.registry.headers.enabled");
        if values.flag(&headers) {
            values.problems.push(Problem::new(
                "CF004",
                &headers,
                "ids in headers, which is the default of this converter, are not supported yet",
                "write `false`, and the same for consumers",
            ));
        }
        let use_id = self.key("apicurio.registry.use-id");
        if values.text(&use_id) != Some("contentId") {
            values.problems.push(Problem::new(
                "CF004",
                &use_id,
                "global ids are not supported yet: the API of Confluent's form does not give them",
                "write `contentId`, and the same for consumers",
            ));
        }
    }

    /// Where the registry is, and whoever stands in front of a host.
    fn urls(self, values: &mut Values<'_>, is_apicurio: bool) -> (Vec<String>, Option<String>) {
        let key =
            self.key(if is_apicurio { "apicurio.registry.url" } else { "schema.registry.url" });
        let mut urls = Vec::new();
        let mut in_url = None;
        for url in values.list(&key) {
            let (url, user_info) = without_user_info(url);
            in_url = in_url.or(user_info);
            if !url.starts_with("http://") && !url.starts_with("https://") {
                values.invalid(
                    &key,
                    &format!("`{url}` is no address"),
                    "write http://HOST:PORT or https://HOST:PORT",
                );
            }
            urls.push(if is_apicurio { in_form_of_confluent(&url) } else { url });
        }
        if urls.is_empty() {
            values.problems.push(Problem::new(
                "CF005",
                &key,
                "AvroConverter needs a schema registry",
                "set it to the address of the registry, as in http://registry:8081",
            ));
        }
        (urls, in_url)
    }

    fn credentials(self, values: &mut Values<'_>, in_url: Option<String>) -> Credentials {
        let pairs = ["basic.auth.user.info", "schema.registry.basic.auth.user.info"];
        let user_info = pairs.map(|option| self.key(option));
        let user_info = user_info.iter().find_map(|key| values.given(key));
        let basic_key = self.key("basic.auth.credentials.source");
        let bearer_key = self.key("bearer.auth.credentials.source");
        let token = values.given(&self.key("bearer.auth.token"));
        if values.given(&bearer_key).is_some() {
            let choices = [
                ("STATIC_TOKEN", Choice::Is(())),
                ("OAUTHBEARER", Choice::NotYet),
                ("SASL_OAUTHBEARER_INHERIT", Choice::NotYet),
                ("CUSTOM", Choice::NotYet),
            ];
            values.choice(&bearer_key, &choices, ());
            if token.is_none() {
                self.missing(values, "bearer.auth.token", "set it to the token");
            }
            return Credentials::Bearer(token.unwrap_or_default().to_owned());
        }
        if token.is_some() {
            self.missing(values, "bearer.auth.credentials.source", "write `STATIC_TOKEN`");
        }
        let choices = [
            ("URL", Choice::Is(false)),
            ("USER_INFO", Choice::Is(true)),
            ("SASL_INHERIT", Choice::NotYet),
        ];
        let from_user_info = values.choice(&basic_key, &choices, false);
        match (from_user_info, user_info) {
            (true, Some(pair)) => Credentials::Basic(pair.to_owned()),
            (true, None) => {
                self.missing(values, "basic.auth.user.info", "set it to USER:PASSWORD");
                Credentials::None
            }
            (false, Some(_)) => {
                self.missing(values, "basic.auth.credentials.source", "write `USER_INFO`");
                Credentials::None
            }
            (false, None) => in_url.map_or(Credentials::None, Credentials::Basic),
        }
    }

    fn missing(self, values: &mut Values<'_>, option: &str, fix: &str) {
        let why = "the credentials for the schema registry are not complete without it";
        values.problems.push(Problem::new("CF005", &self.key(option), why, fix));
    }

    fn trust_store_type(self, values: &mut Values<'_>) {
        let choices =
            [("PEM", Choice::Is(())), ("JKS", Choice::NotYet), ("PKCS12", Choice::NotYet)];
        values.choice(&self.key("schema.registry.ssl.truststore.type"), &choices, ());
    }

    fn strategy(self, values: &mut Values<'_>) -> SubjectStrategy {
        let key = self.key(&format!("{}.subject.name.strategy", self.name));
        let class = values.text(&key).unwrap_or_default();
        match class.strip_prefix(STRATEGIES).unwrap_or(class) {
            "TopicNameStrategy" => SubjectStrategy::Topic,
            "RecordNameStrategy" => SubjectStrategy::Record,
            "TopicRecordNameStrategy" => SubjectStrategy::TopicAndRecord,
            _ => {
                values.problems.push(Problem::new(
                    "CF004",
                    &key,
                    format!("strategy `{class}` is not supported"),
                    format!("write {STRATEGIES}TopicNameStrategy, …RecordNameStrategy or …TopicRecordNameStrategy"),
                ));
                SubjectStrategy::Topic
            }
        }
    }
}

/// An address without `user:password@`, and that.
fn without_user_info(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((user_info, _)) => {
            let plain = format!("{scheme}://{}", &rest[user_info.len() + 1..]);
            (plain, Some(user_info.to_owned()))
        }
        None => (url.to_owned(), None),
    }
}

/// Where the API of Confluent's form is, beside Apicurio's own.
fn in_form_of_confluent(url: &str) -> String {
    let base = url.trim_end_matches('/');
    let base = ["/apis/registry/v2", "/apis/registry/v3", "/apis/ccompat/v7"]
        .iter()
        .find_map(|end| base.strip_suffix(end))
        .unwrap_or(base);
    format!("{base}/apis/ccompat/v7")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Settings};
    use crate::spec::Spec;

    fn resolve(pairs: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
        let base = [
            ("name", "shop"),
            ("database.hostname", "db"),
            ("database.user", "cdc"),
            ("database.dbname", "shop"),
            ("topic.prefix", "p"),
            ("bootstrap.servers", "k:9092"),
            ("value.converter", CONFLUENT),
        ];
        let config =
            base.iter().chain(pairs).map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let spec = Spec { name: None, config: config.collect() };
        Settings::resolve(&spec, &Environment::default()).map_err(|invalid| {
            let problems = invalid.problems.iter();
            problems.map(|problem| format!("{} {}", problem.code, problem.key)).collect()
        })
    }

    #[test]
    fn a_side_in_avro_has_a_registry_with_confluents_defaults() {
        let settings =
            resolve(&[("value.converter.schema.registry.url", "http://a:1, https://b")]).unwrap();
        let value = settings.schemas.value.unwrap();
        assert_eq!(settings.schemas.key, None);
        assert_eq!(value.registry.urls, ["http://a:1", "https://b"]);
        assert_eq!(value.registry.credentials, Credentials::None);
        assert_eq!((value.registry.ask, value.registry.normalize), (Ask::Register, false));
        assert_eq!(value.subjects, SubjectStrategy::Topic);
        assert_eq!(settings.encoder.value, FormatSettings::avro());
        assert_eq!(settings.encoder.key.encoding, Encoding::Json);
    }

    #[test]
    fn every_option_that_works_arrives() {
        let settings = resolve(&[
            ("value.converter.schema.registry.url", "http://u:p@a:1/x"),
            ("value.converter.auto.register.schemas", "false"),
            ("value.converter.use.latest.version", "true"),
            ("value.converter.normalize.schemas", "true"),
            ("value.converter.connect.meta.data", "false"),
            ("value.converter.ignore.default.for.nullables", "true"),
            (
                "value.converter.value.subject.name.strategy",
                "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
            ),
            ("value.converter.schema.registry.ssl.truststore.location", "/ca.pem"),
        ]);
        let settings = settings.unwrap();
        let value = settings.schemas.value.unwrap();
        assert_eq!(value.registry.urls, ["http://a:1/x"]);
        assert_eq!(value.registry.credentials, Credentials::Basic("u:p".to_owned()));
        assert_eq!((value.registry.ask, value.registry.normalize), (Ask::Latest, true));
        assert_eq!(value.registry.trusted, Some(PathBuf::from("/ca.pem")));
        assert_eq!(value.subjects, SubjectStrategy::TopicAndRecord);
        assert_eq!(settings.encoder.value.encoding, Encoding::Avro { meta_data: false });
        assert!(!settings.encoder.value.replace_null_with_default);
        let token = resolve(&[
            ("value.converter.schema.registry.url", "http://a"),
            ("value.converter.bearer.auth.credentials.source", "STATIC_TOKEN"),
            ("value.converter.bearer.auth.token", "t"),
        ]);
        let value = token.unwrap().schemas.value.unwrap();
        assert_eq!(value.registry.credentials, Credentials::Bearer("t".to_owned()));
        let ours = resolve(&[
            ("value.converter.schema.registry.url", "http://a"),
            ("value.converter.replace.null.with.default", "false"),
        ]);
        assert!(!ours.unwrap().encoder.value.replace_null_with_default);
    }

    #[test]
    fn what_is_missing_or_cannot_be_had_is_said_by_its_key() {
        type Pairs = &'static [(&'static str, &'static str)];
        const URL: (&str, &str) = ("value.converter.schema.registry.url", "http://a");
        let cases: [(Pairs, &[&str]); 8] = [
            (&[], &["CF005 value.converter.schema.registry.url"]),
            (
                &[("value.converter.schema.registry.url", "a:1")],
                &["CF003 value.converter.schema.registry.url"],
            ),
            (
                &[URL, ("value.converter.basic.auth.credentials.source", "USER_INFO")],
                &["CF005 value.converter.basic.auth.user.info"],
            ),
            (
                &[URL, ("value.converter.basic.auth.credentials.source", "SASL_INHERIT")],
                &["CF004 value.converter.basic.auth.credentials.source"],
            ),
            (
                &[URL, ("value.converter.use.latest.version", "true")],
                &["CF006 value.converter.use.latest.version"],
            ),
            (
                &[URL, ("value.converter.scrub.invalid.names", "true")],
                &["CF002 value.converter.scrub.invalid.names"],
            ),
            (
                &[URL, ("value.converter.rule.executors", "x")],
                &["CF002 value.converter.rule.executors"],
            ),
            (
                &[URL, ("key.converter.schema.registry.url", "http://a")],
                &["CF006 key.converter.schema.registry.url"],
            ),
        ];
        for (pairs, expected) in cases {
            assert_eq!(resolve(pairs).unwrap_err(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn apicurios_converter_works_in_the_form_of_confluents() {
        let apicurio = ("value.converter", APICURIO);
        let url = ("value.converter.apicurio.registry.url", "http://a/apis/registry/v2");
        assert_eq!(
            resolve(&[apicurio, url]).unwrap_err(),
            [
                "CF004 value.converter.apicurio.registry.as-confluent",
                "CF004 value.converter.apicurio.registry.headers.enabled",
                "CF004 value.converter.apicurio.registry.use-id"
            ]
        );
        let settings = resolve(&[
            apicurio,
            url,
            ("value.converter.apicurio.registry.as-confluent", "true"),
            ("value.converter.apicurio.registry.headers.enabled", "false"),
            ("value.converter.apicurio.registry.use-id", "contentId"),
        ]);
        let value = settings.unwrap().schemas.value.unwrap();
        assert_eq!(value.registry.urls, ["http://a/apis/ccompat/v7"]);
        assert_eq!(value.registry.ask, Ask::Find);
    }
}
