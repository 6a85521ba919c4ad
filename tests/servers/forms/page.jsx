// The page: react-jsonschema-form as its documentation shows it, without any further setting of
// the fields. `draw` draws the form of a schema with values.
import Form from "@rjsf/core";
import { customizeValidator } from "@rjsf/validator-ajv8";
import Ajv2020 from "ajv/dist/2020.js";
import { createRoot } from "react-dom/client";

let root;

window.draw = (schema, formData) => {
    root?.unmount();
    root = createRoot(document.getElementById("form"));
    const isNew = schema.$schema.includes("2020-12");
    const validator = customizeValidator(isNew ? { AjvClass: Ajv2020 } : {});
    window.submitted = null;
    root.render(
        <Form
            schema={schema}
            formData={formData}
            validator={validator}
            noHtml5Validate
            onSubmit={({ formData }) => {
                window.submitted = formData;
            }}
        />,
    );
};
