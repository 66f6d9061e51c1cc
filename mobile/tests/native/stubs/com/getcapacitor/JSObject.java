package com.getcapacitor;

import org.json.JSONException;
import org.json.JSONObject;

public class JSObject extends JSONObject {

    public static JSObject fromJSONObject(JSONObject from) throws JSONException {
        return new JSObject();
    }

    @Override
    public JSObject put(String key, boolean value) {
        return this;
    }

    @Override
    public JSObject put(String key, int value) {
        return this;
    }

    @Override
    public JSObject put(String key, long value) {
        return this;
    }

    @Override
    public JSObject put(String key, double value) {
        return this;
    }

    @Override
    public JSObject put(String key, Object value) {
        return this;
    }
}
